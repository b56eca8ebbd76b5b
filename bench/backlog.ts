/**
 * A queue of 1,000 to 1,000,000 rows: how long a process takes to start on it, how much memory it
 * holds, and what one delivered row costs.
 *
 * Estimate: nothing that runs at start reads the queue, only counters and lanes: as long as on an
 * empty directory, 40 ms. Memory holds what is in flight, so it is node, the modules and the pages
 * of LMDB that were touched (mapped, so they count as resident): 120 MiB and some. A row costs a
 * dozen look-ups in trees that grow from two levels to four: 10 to 20 % more at 1,000,000.
 */
import { runIfMain, type Bench, type BenchContext } from './harness/bench.ts';
import { ReplicatingHost, Sink } from './harness/delivery.ts';
import { comparePairs, type Side } from './harness/pairs.ts';
import { rowOf, type Row } from './harness/results.ts';
import { medianOf } from './harness/statistics.ts';
import type { HostReady } from './subjects/host-driver.ts';

const OBJECT_BYTES = 16;
const MIB = 2 ** 20;
/** Rows delivered, and queued again, for one sample. */
const SAMPLE_ROWS = 1000;
const CURVE_SAMPLES = 3;
const START_LIMIT_MS = 1000;
const RESIDENT_LIMIT_MIB = 300;

export const backlog: Bench = {
  name: 'backlog',
  async run(context) {
    const sizes = context.pick([1000, 10_000, 100_000, 1_000_000], [100, 400]);
    const sampleRows = context.pick(SAMPLE_ROWS, 50);
    const sink = await Sink.start(context);
    const small = await Queue.create(context, sink, sampleRows);
    await small.growTo(sizes[0]!);
    const large = await Queue.create(context, sink, sampleRows);
    const costs: [number, number][] = [];
    for (const size of sizes) {
      await large.growTo(size);
      await large.restart();
      const samples: number[] = [];
      for (let n = 0; n < context.pick(CURVE_SAMPLES + 1, 1); n += 1) {
        samples.push((await large.side('').sample()).value);
      }
      // The first one warms the new process up.
      costs.push([size, medianOf(samples.slice(-CURVE_SAMPLES))]);
    }
    const start = await large.restart();
    await small.restart();
    const size = sizes.at(-1)!.toLocaleString('en-US');
    const cost = await comparePairs(
      large.side(`${size} rows`),
      small.side(`${sizes[0]!.toLocaleString('en-US')} rows`),
      context.pairs({ warmUps: 2 }),
    );
    const rowOfLarge = (what: string, unit: string, value: number, limit: number): Row => ({
      what: `${size} queued rows, ${what}`,
      unit,
      ours: { ...cost.ours, value },
      peer: null,
      ratio: null,
      pairs: 1,
      budget: { kind: 'oursBelow', limit },
    });
    return {
      rows: [
        rowOfLarge('start', 'ms', start.activateMs, START_LIMIT_MS),
        rowOfLarge('resident after start', 'MiB', start.residentBytes / MIB, RESIDENT_LIMIT_MIB),
        rowOfLarge('peak while delivering', 'MiB', cost.ours.peakBytes / MIB, RESIDENT_LIMIT_MIB),
        rowOf(`CPU per delivered row, backlog of ${size}`, 'µs', cost, {
          kind: 'ratioAtMost',
          limit: 1.5,
        }),
      ],
      curves: [
        {
          file: 'backlog-cost',
          title: 'CPU per delivered row against the backlog',
          xLabel: 'queued rows',
          yLabel: 'µs of CPU per row',
          xScale: 'log',
          series: [{ name: 'engine', points: costs }],
        },
      ],
    };
  },
};

/** A bucket whose target is paused except while a sample is taken. */
class Queue {
  readonly #context: BenchContext;
  readonly #sink: Sink;
  readonly #sampleRows: number;
  readonly #dataDirectory: string;
  #host: ReplicatingHost;
  #queued = 0;
  #nextKey = 0;

  private constructor(
    context: BenchContext,
    sink: Sink,
    sampleRows: number,
    opened: { host: ReplicatingHost; dataDirectory: string },
  ) {
    this.#context = context;
    this.#sink = sink;
    this.#sampleRows = sampleRows;
    this.#dataDirectory = opened.dataDirectory;
    this.#host = opened.host;
  }

  static async create(context: BenchContext, sink: Sink, sampleRows: number): Promise<Queue> {
    const dataDirectory = context.directory();
    const host = await startHost(context, dataDirectory);
    await host.configure(0, sink.endpoint, false);
    return new Queue(context, sink, sampleRows, { host, dataDirectory });
  }

  async growTo(rows: number): Promise<void> {
    await this.#enqueue(rows - this.#queued);
    this.#queued = rows;
  }

  /** What a new process takes to start on what is queued. */
  async restart(): Promise<{ activateMs: number; residentBytes: number }> {
    await this.#host.subject.close();
    this.#host = await startHost(this.#context, this.#dataDirectory);
    const { residentBytes } = await this.#host.subject.usage();
    return { ...this.#host.subject.ready<HostReady>(), residentBytes };
  }

  /** Microseconds of CPU per delivered row; as many are queued afterwards as before. */
  side(name: string): Side {
    return {
      name,
      sample: async () => {
        const { subject } = this.#host;
        const before = await subject.usage();
        const arrived = this.#sink.expect(this.#sampleRows);
        await this.#host.configure(0, this.#sink.endpoint, true);
        await arrived;
        const after = await subject.usage();
        await this.#host.configure(0, this.#sink.endpoint, false);
        await this.#enqueue(this.#sampleRows);
        const micros = (after.cpuMicros - before.cpuMicros) / this.#sampleRows;
        return { value: micros, cpuMicrosPerOperation: micros, peakBytes: after.peakBytes };
      },
    };
  }

  async #enqueue(rows: number): Promise<void> {
    await this.#host.enqueue(0, rows, this.#nextKey);
    this.#nextKey += rows;
  }
}

function startHost(context: BenchContext, dataDirectory: string): Promise<ReplicatingHost> {
  const objects = { directory: dataDirectory, count: Number.MAX_SAFE_INTEGER, bytes: OBJECT_BYTES };
  return ReplicatingHost.start(context, { dataDirectory, buckets: 1, objects });
}

await runIfMain(import.meta.url, backlog);
