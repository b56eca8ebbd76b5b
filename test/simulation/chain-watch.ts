/**
 * What one process does to each chain, from the claim of a row to its outcome: which requests are
 * under way and what was answered. It complains of whatever the engine promises never to do.
 */
import { isDeepStrictEqual } from 'node:util';
import type { BucketRef, ObjectHead } from '../../src/host.ts';
import type { ClaimOutcome } from '../../src/model/queue.ts';
import { ORDER_LAST, type Claim, type Row } from '../../src/model/row.ts';
import type { SimulatedHost } from './simulated-host.ts';
import type { UploadLedger } from './upload-ledger.ts';

export type RequestKind =
  /** HEAD, and the parts of an upload that the target lists. */
  | 'look'
  | 'list'
  /** Whatever changes, or begins to change, what the target shows. */
  | 'write'
  | 'part'
  | 'beside';

export interface WatchedRequest {
  readonly key: string;
  readonly kind: RequestKind;
  /** Of parts: the upload. */
  readonly partOf: string | null;
  /** Of looks at an upload that is there: what its object will have. */
  readonly resumes: Metadata | null;
}

type Metadata = Pick<ObjectHead, 'userMetadata' | 'tags'>;

/** A committed claim without an outcome. */
interface Held {
  readonly row: Row;
  /** Whether a former request may have changed the target, and it was not looked at yet. */
  isInDoubt: boolean;
  hasAnswer: boolean;
  /** What the source showed of the key since then. */
  readonly heads: ObjectHead[];
}

export interface ChainWatchOptions {
  readonly host: SimulatedHost;
  readonly uploads: UploadLedger;
  readonly violations: string[];
}

export class ChainWatch {
  readonly #options: ChainWatchOptions;
  /** By chain. */
  readonly #held = new Map<string, Held>();
  /** By chain: up to which order the last completed claim superseded, and when that was decided. */
  readonly #superseded = new Map<string, { readonly upTo: number; readonly atMs: number }>();
  /** By chain: requests without an answer. */
  readonly #open = new Map<string, WatchedRequest[]>();

  constructor(options: ChainWatchOptions) {
    this.#options = options;
  }

  claimed({ row }: Claim): void {
    const superseded = this.#superseded.get(chainOf(row));
    const isOld = row.order <= (superseded?.upTo ?? -1) && row.createdAt < (superseded?.atMs ?? 0);
    if (isOld && row.operation !== 'resolve') {
      this.#options.violations.push(`${row.key} ${row.order} was claimed though it is superseded`);
    }
    this.#held.set(chainOf(row), {
      row,
      isInDoubt: row.doubtUntil !== null,
      hasAnswer: false,
      heads: [],
    });
  }

  /** The source showed a version to whoever delivers its key. */
  shown({ id }: BucketRef, head: ObjectHead): void {
    for (const [chain, { heads }] of this.#held) {
      if (chain.startsWith(`${id}/`) && chain.endsWith(`/${head.key}`)) heads.push(head);
    }
  }

  /** @returns the way to say that it has ended, and whether the target did what was asked */
  begin(chain: string, request: WatchedRequest): (isDone: boolean) => void {
    const { violations, uploads } = this.#options;
    const { kind, partOf, resumes } = request;
    const open = this.#open.get(chain) ?? [];
    this.#open.set(chain, open);
    // Parts of one upload are sent side by side.
    if (open.some((other) => other.partOf === null || other.partOf !== partOf)) {
      violations.push(`two open requests for ${chain}`);
    }
    open.push(request);
    const held = this.#held.get(chain);
    if (held === undefined) violations.push(`a request without a committed claim for ${chain}`);
    if (held?.isInDoubt === true && (kind === 'write' || kind === 'part')) {
      violations.push(`a request for ${chain}, which is in doubt, without a look before it`);
    }
    if (partOf !== null && !uploads.wasStored(partOf)) {
      violations.push(`a part of ${partOf}, which nobody would know after a crash`);
    }
    if (resumes !== null && held?.heads.some((head) => isAlike(head, resumes)) === false) {
      violations.push(`${chain} goes on with an upload of something else`);
    }
    return (isDone) => {
      open.splice(open.indexOf(request), 1);
      if (!isDone || held === undefined) return;
      if (kind === 'look') held.isInDoubt = false;
      if (kind === 'look' || kind === 'write') held.hasAnswer = true;
    };
  }

  /** The engine has decided what becomes of the claim. */
  decided({ row }: Claim, outcome: ClaimOutcome): void {
    const { host, violations } = this.#options;
    const chain = chainOf(row);
    if ((this.#open.get(chain)?.length ?? 0) > 0) {
      violations.push(`an outcome for ${chain} while a request is open`);
    }
    if (outcome.kind === 'complete') {
      const isWanted =
        host.bucket.id === row.lane.bucket.id &&
        isDelivered(host, row.key) &&
        !host.isReplica(row.versionId ?? '');
      // What came while the outcome was being decided has a row of its own.
      const isNewer = (host.current(row.key)?.order ?? 0) > outcome.upTo;
      if (isWanted && !isNewer && this.#held.get(chain)?.hasAnswer !== true) {
        violations.push(`${row.key} was completed without a word of the target`);
      }
      if (row.operation !== 'resolve' && outcome.upTo < row.order) {
        violations.push(`${row.key} was completed without what it supersedes`);
      }
    }
    if (outcome.kind === 'retry' && outcome.asResolve && this.#isThere(row)) {
      violations.push(`${row.key} lost its place although its version is there`);
    }
  }

  /** @param outcome durable now; null where it came too late. @param decidedAtMs by the store's clock */
  settled({ row }: Claim, outcome: ClaimOutcome | null, decidedAtMs: number): void {
    // The next claim of the chain may be told of first, as one flush makes both durable.
    if (this.#held.get(chainOf(row))?.row === row) this.#held.delete(chainOf(row));
    if (outcome?.kind !== 'complete') return;
    const upTo = Math.min(outcome.upTo, ORDER_LAST - 1);
    this.#superseded.set(chainOf(row), { upTo, atMs: decidedAtMs });
  }

  /** Whether the row's version is there, and what may have been sent in its place too. */
  #isThere(row: Claim['row']): boolean {
    const { host } = this.#options;
    const shown = this.#held.get(chainOf(row))?.heads ?? [];
    const { lane, key } = row;
    return [row, ...shown.filter(({ deleteMarker }) => !deleteMarker)].every(({ versionId }) =>
      host.hasVersion({ lane, key, versionId }),
    );
  }
}

function isAlike(head: Metadata, other: Metadata): boolean {
  const { userMetadata, tags } = head;
  return isDeepStrictEqual(
    { userMetadata, tags },
    { userMetadata: other.userMetadata, tags: other.tags },
  );
}

/** Whether what the key shows now has to be at its targets. */
function isDelivered(host: SimulatedHost, key: string): boolean {
  const current = host.current(key);
  return current !== null && !current.deleteMarker && !current.replica;
}

function chainOf({ lane, key }: Claim['row']): string {
  return `${lane.bucket.id}/${lane.targetId}/${key}`;
}
