/** Rows, claims, heads and hosts for tests of the engine's parts. */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { ByteRange, ObjectHead, ObjectRef, OpenedObject } from '../../src/host.ts';
import { ORDER_LAST, type Claim, type Row } from '../../src/model/row.ts';
import type { Rule } from '../../src/model/rule.ts';
import { uuid } from '../support/replication-bodies.ts';

export const BUCKET = { id: 'bucket-1', name: 'photos' };
export const LANE = { bucket: BUCKET, targetId: uuid(1) };

export function row(fields: Partial<Row> = {}): Row {
  return {
    sequence: 1,
    lane: LANE,
    ruleset: [4],
    key: 'key',
    operation: 'put',
    versionId: 'v5',
    order: 5,
    state: 'pending',
    attempts: 0,
    nextAttemptAt: 0,
    lastError: null,
    createdAt: 0,
    failedAt: null,
    doubtUntil: null,
    refused: false,
    upload: null,
    ...fields,
  };
}

export function resolveRow(fields: Partial<Row> = {}): Row {
  return row({ operation: 'resolve', versionId: null, order: ORDER_LAST, ...fields });
}

export function claim(of: Row, laterVersionWaits = false): Claim {
  return { row: of, laterVersionWaits };
}

export function rule(fields: Partial<Rule> = {}): Rule {
  return {
    id: uuid(1),
    incarnation: 4,
    targetId: uuid(1),
    prefix: '',
    replicateDeletes: true,
    replicateExisting: false,
    synchronous: false,
    enabled: true,
    ...fields,
  };
}

export function head(fields: Partial<ObjectHead> = {}): ObjectHead {
  return {
    key: 'key',
    versionId: 'v5',
    order: 5,
    deleteMarker: false,
    replica: false,
    size: 0,
    etag: 'd41d8cd98f00b204e9800998ecf8427e',
    lastModified: 0,
    systemHeaders: {},
    userMetadata: {},
    tags: {},
    ...fields,
  };
}

export function marker(fields: Partial<ObjectHead> = {}): ObjectHead {
  return head({ deleteMarker: true, ...fields });
}

/** A host with one key. */
export class OneKeyHost {
  current: ObjectHead | null = null;
  readonly #bodies = new Map<string, { head: ObjectHead; body: Buffer }>();
  /** Thrown by the next read of a body. */
  failure: Error | null = null;
  opened = 0;

  put(versionId: string, body: Buffer, fields: Partial<ObjectHead> = {}): ObjectHead {
    const etag = createHash('md5').update(body).digest('hex');
    const order = Number(versionId.slice(1));
    this.current = head({ versionId, order, size: body.length, etag, ...fields });
    this.#bodies.set(versionId, { head: this.current, body });
    return this.current;
  }

  remove(versionId: string): void {
    this.#bodies.delete(versionId);
  }

  async headCurrent(): Promise<ObjectHead | null> {
    return this.current;
  }

  async openObject({ versionId }: ObjectRef, range?: ByteRange): Promise<OpenedObject | null> {
    this.opened += 1;
    if (this.failure !== null) throw this.failure;
    const stored = this.#bodies.get(versionId);
    if (stored === undefined) return null;
    const { body } = stored;
    const bytes = range === undefined ? body : body.subarray(range.start, range.end + 1);
    return { head: stored.head, body: Readable.from([bytes]) };
  }
}
