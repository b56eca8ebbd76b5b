/**
 * A host with a queue of as many rows as are asked for: of a bucket whose target is paused, except
 * while rows are delivered to the sink. A second bucket, paused for good, takes other writes.
 */
import type { HostReady, WriteTimes } from '../subjects/host-driver.ts';
import type { BenchContext } from './bench.ts';
import { ReplicatingHost, type Sink } from './delivery.ts';
import type { Sample, Side } from './pairs.ts';
import type { WriterLoad } from './writers.ts';

const OBJECT_BYTES = 16;
const QUEUED = 0;
const OTHER = 1;

export class BacklogQueue {
  readonly #context: BenchContext;
  readonly #sink: Sink;
  readonly #dataDirectory: string;
  #host: ReplicatingHost;
  #nextKey = 0;

  private constructor(
    context: BenchContext,
    sink: Sink,
    opened: { host: ReplicatingHost; dataDirectory: string },
  ) {
    this.#context = context;
    this.#sink = sink;
    this.#dataDirectory = opened.dataDirectory;
    this.#host = opened.host;
  }

  static async create(context: BenchContext, sink: Sink): Promise<BacklogQueue> {
    const dataDirectory = context.directory();
    const host = await startHost(context, dataDirectory);
    for (const bucket of [QUEUED, OTHER]) await host.configure(bucket, sink.endpoint, false);
    return new BacklogQueue(context, sink, { host, dataDirectory });
  }

  async growTo(rows: number): Promise<void> {
    const { queued } = await this.#host.counts(QUEUED);
    await this.#enqueue(rows - queued);
  }

  /** What a new process takes to start on what is queued. */
  async restart(): Promise<{ activateMs: number; residentBytes: number }> {
    await this.#host.subject.close();
    this.#host = await startHost(this.#context, this.#dataDirectory);
    const { residentBytes } = await this.#host.subject.usage();
    return { ...this.#host.subject.ready<HostReady>(), residentBytes };
  }

  /** Delivers at least so many: what is in flight when that many have arrived goes too. */
  async deliver(rows: number): Promise<void> {
    const arrived = this.#sink.expect(rows);
    await this.#host.configure(QUEUED, this.#sink.endpoint, true);
    await arrived;
    await this.#host.configure(QUEUED, this.#sink.endpoint, false);
  }

  /** Microseconds of CPU per delivered row; as many are queued afterwards as before. */
  deliverySide(name: string, rows: number): Side {
    return {
      name,
      sample: async () => {
        const { subject } = this.#host;
        const before = await subject.usage();
        const arrived = this.#sink.expect(rows);
        await this.#host.configure(QUEUED, this.#sink.endpoint, true);
        await arrived;
        const after = await subject.usage();
        await this.#host.configure(QUEUED, this.#sink.endpoint, false);
        await this.#enqueue(rows);
        return costOf(before, after, rows);
      },
    };
  }

  /** Microseconds of CPU per row that is announced and committed; as many are delivered afterwards. */
  writeSide(name: string, rows: number, writers: number): Side {
    return {
      name,
      sample: async () => {
        const { subject } = this.#host;
        const load = { bucket: QUEUED, from: this.#nextKey, count: rows, writers };
        this.#nextKey += rows;
        const before = await subject.usage();
        await this.#host.run({ kind: 'enqueue-each', ...load });
        const after = await subject.usage();
        await this.deliver(rows);
        return costOf(before, after, rows);
      },
    };
  }

  /** How long writes to the other bucket take. */
  async timeOtherWrites(load: WriterLoad): Promise<WriteTimes> {
    const command = { kind: 'time-writes', bucket: OTHER, from: this.#nextKey, ...load } as const;
    const times = await this.#host.run<WriteTimes>(command);
    this.#nextKey += times.operations;
    return times;
  }

  /** Removes the rule that owns the rows; returns how many milliseconds that took. */
  async removeRule(): Promise<number> {
    // The first call of a process loads its client, which is not what is measured.
    await this.#host.counts(QUEUED);
    return this.#host.run<number>({ kind: 'remove-rule', bucket: QUEUED });
  }

  /** Rows of both buckets, those of the removed rule too. */
  countRows(): Promise<number> {
    return this.#host.run<number>({ kind: 'queue-total' });
  }

  async #enqueue(rows: number): Promise<void> {
    await this.#host.enqueue(QUEUED, rows, this.#nextKey);
    this.#nextKey += rows;
  }
}

function startHost(context: BenchContext, dataDirectory: string): Promise<ReplicatingHost> {
  const objects = { directory: dataDirectory, count: Number.MAX_SAFE_INTEGER, bytes: OBJECT_BYTES };
  return ReplicatingHost.start(context, { dataDirectory, buckets: 2, objects });
}

function costOf(
  before: { cpuMicros: number },
  after: { cpuMicros: number; peakBytes: number },
  rows: number,
): Sample {
  const micros = (after.cpuMicros - before.cpuMicros) / rows;
  return { value: micros, cpuMicrosPerOperation: micros, peakBytes: after.peakBytes };
}
