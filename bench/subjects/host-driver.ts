/**
 * What a bench tells a replicating host to do, carried out from inside its process: the admin API
 * over a socket, the write path through the plugin's hook.
 */
import type { CommittedWrite, Plugin } from '../../src/host.ts';
import { callJson } from '../harness/json-call.ts';
import { quantile } from '../harness/statistics.ts';
import { runEach, runWriters, type WriterLoad } from '../harness/writers.ts';
import { AUTHORIZATION, bucketName } from './bench-host.ts';
import { objectKey } from './object-set.ts';
import { ruleList, targetList } from './replication-lists.ts';

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

/** In milliseconds, of announcement and commit together. */
export interface WriteTimes {
  readonly operations: number;
  readonly median: number;
  readonly p99: number;
  readonly max: number;
}

export type HostCommand =
  /**
   * Saves the target and, the first time, the rule. A disabled target is a pause. Tells when that was
   * acknowledged, by the clock that all processes share (`process.hrtime`).
   */
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
  /** As `enqueue`, each write announced alone, by that many writers. */
  | {
      readonly kind: 'enqueue-each';
      readonly bucket: number;
      readonly from: number;
      readonly count: number;
      readonly writers: number;
    }
  /** As `write`, of the objects from `from` on; tells how long writes took. */
  | ({ readonly kind: 'time-writes'; readonly bucket: number; readonly from: number } & WriterLoad)
  /** Saves an empty list of rules, and tells how many milliseconds that took. */
  | { readonly kind: 'remove-rule'; readonly bucket: number }
  /** Rows of all buckets, those of removed rules too, as the metrics tell. */
  | { readonly kind: 'queue-total' }
  | { readonly kind: 'counts'; readonly bucket: number }
  | { readonly kind: 'collect' };

const BATCH = 64;

const NOTHING_QUEUED: QueueCounts = { queued: 0, failed: 0, state: 'absent', lastError: null };

export class HostDriver {
  readonly #plugin: Plugin;
  readonly #announce: NonNullable<Plugin['announce']>;
  readonly #url: string;
  readonly #configured = new Set<number>();
  #order = 0;

  constructor(plugin: Plugin, url: string) {
    if (plugin.announce === undefined) throw new Error('The plugin has no announce hook.');
    this.#plugin = plugin;
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
      case 'enqueue-each':
        return runEach(command.count, command.writers, (n) =>
          this.#write(command.bucket, [objectKey(command.from + n)]),
        );
      case 'time-writes':
        return this.#timeWrites(command);
      case 'remove-rule':
        return this.#removeRule(command.bucket);
      case 'queue-total':
        return this.#queueTotal();
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
  }: Extract<HostCommand, { kind: 'configure' }>): Promise<bigint> {
    await this.#call('PUT', bucket, 'targets', targetList(endpoint, enabled));
    if (!this.#configured.has(bucket)) {
      this.#configured.add(bucket);
      await this.#call('PUT', bucket, 'rules', ruleList());
    }
    return process.hrtime.bigint();
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

  async #timeWrites({
    bucket,
    from,
    ...load
  }: Extract<HostCommand, { kind: 'time-writes' }>): Promise<WriteTimes> {
    const times: number[] = [];
    let next = from;
    await runWriters(load, async () => {
      const start = performance.now();
      await this.#write(bucket, [objectKey(next++)]);
      times.push(performance.now() - start);
    });
    times.sort((a, b) => a - b);
    return {
      operations: times.length,
      median: quantile(times, 0.5),
      p99: quantile(times, 0.99),
      max: times.at(-1)!,
    };
  }

  async #removeRule(bucket: number): Promise<number> {
    const start = performance.now();
    await this.#call('PUT', bucket, 'rules', { rules: [] });
    return performance.now() - start;
  }

  async #queueTotal(): Promise<number> {
    const metrics = await this.#plugin.metrics();
    return Number(/^alarik_replication_pending_tasks (\d+)$/m.exec(metrics)?.[1]);
  }

  async #counts(bucket: number): Promise<QueueCounts> {
    const { targets } = await this.#call<{ targets: QueueCounts[] }>('GET', bucket, 'status');
    const [{ queued, failed, state, lastError } = NOTHING_QUEUED] = targets;
    return { queued, failed, state, lastError };
  }

  #call<T>(method: string, bucket: number, resource: string, body?: object): Promise<T> {
    const url = `${this.#url}/api/v1/buckets/${bucketName(bucket)}/replication/${resource}`;
    const call = { method, url, authorization: AUTHORIZATION };
    return callJson<T>(body === undefined ? call : { ...call, body });
  }
}
