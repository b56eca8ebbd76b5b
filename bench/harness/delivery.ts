/**
 * What the delivery benches share: a sink, the engine with its queue filled, and a lane's width; and
 * the same where the target is a server, which does not count what arrives.
 */
import { CONCURRENCY_MAX } from '../../src/model/concurrency.ts';
import type { ObjectSet } from '../subjects/object-set.ts';
import type { HostCommand, QueueCounts } from '../subjects/host-driver.ts';
import type { SinkCommand } from '../subjects/sink.ts';
import type { BenchContext } from './bench.ts';
import { sampleThroughput, type Sample, type Side, type Work } from './pairs.ts';
import type { SubjectProcess } from './subject-process.ts';

/** Requests that a lane has in flight at most; peers get as many workers. */
export const LANE_WIDTH = CONCURRENCY_MAX;

export const MIB = 2 ** 20;

/** The status costs its process a millisecond, and a process that is measured pays for it. */
const POLL_MS = 50;

export class Sink {
  readonly #subject: SubjectProcess;

  private constructor(subject: SubjectProcess) {
    this.#subject = subject;
  }

  static async start(context: BenchContext, parameters: { silent?: boolean } = {}): Promise<Sink> {
    return new Sink(await context.start('sink', parameters));
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#subject.ready<{ port: number }>().port}`;
  }

  /** From the first request to the answer of the last of that many objects. */
  expect(objects: number): Promise<Work> {
    const command: SinkCommand = { kind: 'expect', objects };
    return this.#subject.run<Work>(command);
  }

  /** Ends every connection, so that whoever waits for an answer stops waiting. */
  close(): Promise<void> {
    return this.#subject.close();
  }

  async delay(delayMs: number): Promise<void> {
    const command: SinkCommand = { kind: 'delay', delayMs };
    await this.#subject.run(command);
  }
}

/** The engine in a process of its own, as the benches drive it. */
export class ReplicatingHost {
  readonly subject: SubjectProcess;

  private constructor(subject: SubjectProcess) {
    this.subject = subject;
  }

  static async start(
    context: BenchContext,
    parameters: { dataDirectory: string; buckets: number; objects: ObjectSet },
    nodeOptions: readonly string[] = [],
  ): Promise<ReplicatingHost> {
    return new ReplicatingHost(await context.start('replicating-host', parameters, nodeOptions));
  }

  run<T>(command: HostCommand): Promise<T> {
    return this.subject.run<T>(command);
  }

  /** When it was acknowledged, in nanoseconds of `process.hrtime`. */
  configure(bucket: number, endpoint: string, enabled: boolean): Promise<bigint> {
    return this.run({ kind: 'configure', bucket, endpoint, enabled });
  }

  /** While the target is paused, so that the whole queue is there when it starts. */
  async enqueue(bucket: number, count: number, from = 0): Promise<void> {
    await this.run({ kind: 'enqueue', bucket, from, count });
  }

  async counts(bucket: number): Promise<QueueCounts> {
    return this.run<QueueCounts>({ kind: 'counts', bucket });
  }

  /** @throws Error where the queue does not get shorter, with what the status says */
  drained(bucket: number): Promise<void> {
    return untilDrained(() => this.counts(bucket));
  }
}

/** @throws Error where the queue does not get shorter, with what the status says */
export async function untilDrained(
  readCounts: () => Promise<Omit<QueueCounts, 'state'>>,
): Promise<void> {
  for (;;) {
    const { queued, failed, lastError } = await readCounts();
    if (queued === 0) return;
    if (failed > 0 || lastError !== null) {
      throw new Error(`${queued} queued, ${failed} failed: ${lastError}`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Fills the queue of bucket 0, then measures how fast it is delivered. */
export function engineSide(host: ReplicatingHost, sink: Sink, objects: number): Side {
  return {
    name: 'engine',
    async sample(): Promise<Sample> {
      await host.configure(0, sink.endpoint, false);
      await host.enqueue(0, objects);
      const sample = await sampleThroughput(host.subject, async () => {
        const arrived = sink.expect(objects);
        await host.configure(0, sink.endpoint, true);
        return arrived;
      });
      await host.drained(0);
      return sample;
    },
  };
}

/** A peer's loop over the same objects; what it sends is counted by the same sink. */
export function loopSide(name: string, subject: SubjectProcess, sink: Sink, objects: number): Side {
  return {
    name,
    sample: () =>
      sampleThroughput(subject, async () => {
        const arrived = sink.expect(objects);
        await subject.run({ count: objects });
        return arrived;
      }),
  };
}

/** As {@link engineSide}, from the moment that the target is enabled until nothing is queued. */
export function engineToServerSide(host: ReplicatingHost, endpoint: string, objects: number): Side {
  return {
    name: 'engine',
    async sample(): Promise<Sample> {
      await host.configure(0, endpoint, false);
      await host.enqueue(0, objects);
      return sampleThroughput(host.subject, () =>
        timed(objects, async () => {
          await host.configure(0, endpoint, true);
          await host.drained(0);
        }),
      );
    },
  };
}

/** As {@link loopSide}, from the loop's start to its end. */
export function loopToServerSide(name: string, subject: SubjectProcess, objects: number): Side {
  return {
    name,
    sample: () =>
      sampleThroughput(subject, () => timed(objects, () => subject.run({ count: objects }))),
  };
}

/** One operation is one MiB then. */
export function inMebibytes(side: Side, bytesPerOperation: number): Side {
  const mebibytes = bytesPerOperation / MIB;
  return {
    name: side.name,
    async sample(): Promise<Sample> {
      const sample = await side.sample();
      const { value, cpuMicrosPerOperation: cpu } = sample;
      return {
        ...sample,
        value: value * mebibytes,
        cpuMicrosPerOperation: cpu === null ? null : cpu / mebibytes,
      };
    },
  };
}

async function timed(operations: number, work: () => Promise<unknown>): Promise<Work> {
  const start = performance.now();
  await work();
  return { operations, elapsedMs: performance.now() - start };
}
