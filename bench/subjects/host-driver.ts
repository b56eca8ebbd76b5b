/**
 * What a bench tells a replicating host to do, carried out from inside its process: the admin API
 * over a socket, the write path through the plugin's hook.
 */
import type { CommittedWrite, Plugin } from '../../src/host.ts';
import { runWriters } from '../harness/writers.ts';
import { AUTHORIZATION, bucketName } from './bench-host.ts';
import { objectKey } from './object-set.ts';

export interface HostReady {
  /** How long `activate` took. */
  readonly activateMs: number;
}

export interface QueueCounts {
  readonly queued: number;
  readonly failed: number;
  readonly state: string;
  readonly lastError: string | null;
}

export type HostCommand =
  /** Saves the target and, the first time, the rule. A disabled target is a pause. */
  | {
      readonly kind: 'configure';
      readonly bucket: number;
      readonly endpoint: string;
      readonly enabled: boolean;
    }
  /** Announces and commits writes of the objects `from` to `from + count - 1`. */
  | {
      readonly kind: 'enqueue';
      readonly bucket: number;
      readonly from: number;
      readonly count: number;
    }
  /** Writers that announce, commit and begin again; of new keys each time. */
  | { readonly kind: 'write'; readonly writers: number; readonly durationMs: number }
  | { readonly kind: 'counts'; readonly bucket: number }
  | { readonly kind: 'collect' };

const BATCH = 64;
const TARGET_ID = '11111111-1111-4111-8111-111111111111';
const RULE_ID = '22222222-2222-4222-8222-222222222222';

const NOTHING_QUEUED: QueueCounts = { queued: 0, failed: 0, state: 'absent', lastError: null };

export class HostDriver {
  readonly #announce: NonNullable<Plugin['announce']>;
  readonly #url: string;
  readonly #configured = new Set<number>();
  #order = 0;

  constructor(plugin: Plugin, url: string) {
    if (plugin.announce === undefined) throw new Error('The plugin has no announce hook.');
    this.#announce = (writes) => plugin.announce!(writes);
    this.#url = url;
  }

  async run(command: HostCommand): Promise<unknown> {
    switch (command.kind) {
      case 'configure':
        return this.#configure(command);
      case 'enqueue':
        return this.#enqueue(command.bucket, command.from, command.count);
      case 'write':
        return runWriters(command, () => this.#write(0, [objectKey(this.#order)]));
      case 'counts':
        return this.#counts(command.bucket);
      case 'collect':
        globalThis.gc?.();
        return null;
    }
  }

  async #configure({
    bucket,
    endpoint,
    enabled,
  }: Extract<HostCommand, { kind: 'configure' }>): Promise<void> {
    const target = {
      id: TARGET_ID,
      endpoint,
      targetBucket: 'replica',
      accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
      secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
      region: 'us-east-1',
      enabled,
    };
    await this.#call('PUT', bucket, 'targets', { targets: [target] });
    if (this.#configured.has(bucket)) return;
    this.#configured.add(bucket);
    const rule = {
      id: RULE_ID,
      targetId: TARGET_ID,
      replicateDeletes: true,
      replicateExisting: false,
      enabled: true,
    };
    await this.#call('PUT', bucket, 'rules', { rules: [rule] });
  }

  async #enqueue(bucket: number, from: number, count: number): Promise<void> {
    const batches: Promise<void>[] = [];
    for (let start = from; start < from + count; start += BATCH) {
      const size = Math.min(BATCH, from + count - start);
      batches.push(
        this.#write(
          bucket,
          Array.from({ length: size }, (_, n) => objectKey(start + n)),
        ),
      );
      // Enough to share flushes, few enough to stay small.
      if (batches.length === BATCH) await Promise.all(batches.splice(0));
    }
    await Promise.all(batches);
  }

  async #write(bucketNumber: number, keys: readonly string[]): Promise<void> {
    const name = bucketName(bucketNumber);
    const bucket = { id: `id-of-${name}`, name };
    const writes = keys.map((key): CommittedWrite => {
      this.#order += 1;
      const order = this.#order;
      return { bucket, key, operation: 'put', versionId: 'v1', order, replica: false };
    });
    const announcement = await this.#announce(
      keys.map((key) => ({ bucket, key, operation: 'put', before: null })),
    );
    await announcement.committed(writes);
  }

  async #counts(bucket: number): Promise<QueueCounts> {
    const { targets } = (await this.#call('GET', bucket, 'status')) as { targets: QueueCounts[] };
    const [{ queued, failed, state, lastError } = NOTHING_QUEUED] = targets;
    return { queued, failed, state, lastError };
  }

  async #call(method: string, bucket: number, resource: string, body?: object): Promise<unknown> {
    const path = `/api/v1/buckets/${bucketName(bucket)}/replication/${resource}`;
    const response = await fetch(this.#url + path, {
      method,
      headers: { authorization: AUTHORIZATION, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`);
    return JSON.parse(text);
  }
}
