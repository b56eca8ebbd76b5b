/**
 * Multipart uploads that may have begun at the target though the answer to their creation was lost:
 * nobody knows their ids, and their owner may pay for them for ever.
 *
 * An upload that is found by listing is aborted only where it can be no other: by the target's own
 * clock, no more uploads of the key that this lane does not know began within its requests than answers
 * were lost, and they have no parts a minute later. Others under the same access key may have begun any
 * other. What cannot be told is counted; a lifecycle rule at the target removes it. Requests whose
 * uploads cannot be told apart are judged together, or one would count for another's upload.
 */
import type { TargetClient } from '../egress/target-client.ts';
import type { UploadRef } from '../egress/target-multipart.ts';
import type { RequestOptions } from '../egress/target-sending.ts';
import type { RequestResult } from '../model/delivery.ts';
import { isDenied } from '../model/outcome-rules.ts';

const LOST_MAX = 64;
export const LOOK_AFTER_MS = 60_000;
/** Times of targets are in seconds mostly, and their Date is as old as the answer took. */
const TIME_SLACK_MS = 2_000;
const TRIES_MAX = 5;
/** Where the target could not be asked for so long, they are counted as left. */
const KEPT_MS = 60 * 60_000;
/** Timers and the store's clock are rounded. */
const TIMER_SLACK_MS = 1_000;

export interface LostCreation {
  readonly key: string;
  /** When its request began and ended, by the store's clock. */
  readonly begunAt: number;
  readonly endedAt: number;
}

interface Lost extends LostCreation {
  tries: number;
  /** When it is looked for, by the store's clock. */
  lookAt: number;
  /** Uploads of the key that were created since. */
  readonly known: Set<string>;
}

export interface LostUploadsOptions {
  readonly nowMs: () => number;
  /** An upload may be left at the target. */
  readonly onLeft: () => void;
}

export class LostUploads {
  readonly #options: LostUploadsOptions;
  #lost: Lost[] = [];

  constructor(options: LostUploadsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#lost.length;
  }

  note(creation: LostCreation): void {
    const lookAt = creation.endedAt + LOOK_AFTER_MS;
    this.#lost.push({ ...creation, tries: 0, lookAt, known: new Set() });
    if (this.#lost.length <= LOST_MAX) return;
    this.#lost.shift();
    this.#options.onLeft();
  }

  /** In how many milliseconds there is one to look for; null where there is none at all. */
  nextLookMs(): number | null {
    if (this.#lost.length === 0) return null;
    const lookAt = Math.min(...this.#lost.map((lost) => lost.lookAt));
    return Math.max(0, lookAt - this.#options.nowMs()) + TIMER_SLACK_MS;
  }

  /** What could not be looked for in an hour is not kept. */
  forgetOld(): void {
    const oldest = this.#options.nowMs() - KEPT_MS;
    const kept = this.#lost.filter(({ endedAt }) => endedAt >= oldest);
    for (let left = this.#lost.length - kept.length; left > 0; left--) this.#options.onLeft();
    this.#lost = kept;
  }

  /** The answer to a creation arrived: that upload is nobody else's. */
  created(key: string, uploadId: string): void {
    for (const lost of this.#lost) if (lost.key === key) lost.known.add(uploadId);
  }

  /** Looks for those that were lost a minute ago, each key and moment once. */
  async abortDue(
    client: TargetClient,
    mayGoOn: () => boolean,
    options: RequestOptions,
  ): Promise<void> {
    const now = this.#options.nowMs();
    const looked = new Set<Lost>();
    for (const lost of this.#lost.filter(({ lookAt }) => lookAt <= now)) {
      if (looked.has(lost)) continue;
      lost.lookAt = now + LOOK_AFTER_MS;
      if (mayGoOn()) await this.#look(lost, looked, client, options);
    }
  }

  async #look(
    lost: Lost,
    looked: Set<Lost>,
    client: TargetClient,
    options: RequestOptions,
  ): Promise<void> {
    const askedAt = this.#options.nowMs();
    const listed = await client.listMultipartUploads(lost.key, options);
    const answeredAt = this.#options.nowMs();
    if (!listed.ok) return this.#conclude([lost], isDenied(listed.failure) ? 'over' : 'again', 1);
    const { uploads, dateMs, complete } = listed.value;
    if (dateMs === null || !complete) return this.#conclude([lost], 'over', 1);
    // The target's clock was at `dateMs` at some moment between question and answer.
    const aheadMin = dateMs - answeredAt - TIME_SLACK_MS;
    const aheadMax = dateMs - askedAt + TIME_SLACK_MS;
    const together = this.#indistinguishable(lost, aheadMax - aheadMin);
    const endedAt = Math.max(...together.map((other) => other.endedAt));
    for (const other of together) {
      looked.add(other);
      other.lookAt = Math.max(askedAt, endedAt) + LOOK_AFTER_MS;
    }
    // Some have not been lost for a minute yet.
    if (endedAt + LOOK_AFTER_MS > askedAt) return;
    const begunAt = Math.min(...together.map((other) => other.begunAt));
    const unknown = uploads.filter(
      ({ uploadId, initiatedAtMs }) =>
        !together.some(({ known }) => known.has(uploadId)) &&
        initiatedAtMs !== null &&
        initiatedAtMs >= begunAt + aheadMin &&
        initiatedAtMs <= endedAt + aheadMax,
    );
    if (unknown.length > together.length) return this.#conclude(together, 'over', together.length);
    const results: Result[] = [];
    for (const { uploadId } of unknown) {
      results.push(await abortUnused({ key: lost.key, uploadId }, client, options));
    }
    const left = results.filter((result) => result !== 'over').length;
    this.#conclude(together, results.includes('again') ? 'again' : 'over', left);
  }

  /** @param left uploads that stay at the target, unless they are looked for again */
  #conclude(together: readonly Lost[], result: 'over' | 'again', left: number): void {
    for (const lost of together) lost.tries += 1;
    if (result === 'again' && together.some(({ tries }) => tries < TRIES_MAX)) return;
    this.#lost = this.#lost.filter((lost) => !together.includes(lost));
    for (let n = 0; n < left; n++) this.#options.onLeft();
  }

  /** Requests whose uploads may be taken for each other's: their times, so inexact, touch. */
  #indistinguishable(lost: Lost, inexactMs: number): readonly Lost[] {
    const together = new Set([lost]);
    for (const one of together) {
      for (const other of this.#lost) {
        const touches =
          one.begunAt <= other.endedAt + inexactMs && other.begunAt <= one.endedAt + inexactMs;
        if (touches && other.key === lost.key) together.add(other);
      }
    }
    return [...together];
  }
}

type Result = 'over' | 'left' | 'again';

/** Whatever is not found has no parts. */
export function isGone(result: RequestResult<null>): boolean {
  return result.ok || result.failure.status === 404;
}

async function abortUnused(
  upload: UploadRef,
  client: TargetClient,
  options: RequestOptions,
): Promise<Result> {
  const parts = await client.listParts(upload, 0, options);
  if (!parts.ok) return isDenied(parts.failure) ? 'left' : 'again';
  if (parts.value.parts.length > 0) return 'left';
  return isGone(await client.abortMultipartUpload(upload, options)) ? 'over' : 'again';
}
