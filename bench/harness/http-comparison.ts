/** Two HTTP servers under the same load: the pairs at a fixed number of clients, and the curve over many. */
import type { BenchContext } from './bench.ts';
import type { LoadParameters, LoadResult } from './http-load.ts';
import { sampleThroughput, type Side } from './pairs.ts';
import type { Series } from './results.ts';
import { medianOf } from './statistics.ts';
import type { SubjectProcess } from './subject-process.ts';

const CURVE_CLIENTS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];
const CURVE_ROUNDS = 3;

export interface LoadedServer {
  readonly name: string;
  readonly server: SubjectProcess;
  readonly requests: readonly string[];
  /** Where the server has one thread: its clients keep the other core awake. */
  readonly hasOneThread?: boolean;
}

/** Drives servers that are ready with `{port}`. */
export class HttpLoad {
  readonly #load: SubjectProcess;

  private constructor(load: SubjectProcess) {
    this.#load = load;
  }

  static async start(context: BenchContext): Promise<HttpLoad> {
    return new HttpLoad(await context.startFile('bench/harness/http-load.ts', null));
  }

  side(loaded: LoadedServer, clients: number, durationMs: number): Side {
    return {
      name: loaded.name,
      sample: () => sampleThroughput(loaded.server, () => this.run(loaded, clients, durationMs)),
    };
  }

  run(
    { server, requests, hasOneThread = false }: LoadedServer,
    clients: number,
    durationMs: number,
  ): Promise<LoadResult> {
    const { port } = server.ready<{ port: number }>();
    const parameters: LoadParameters = {
      port,
      clients,
      durationMs,
      requests,
      status: 200,
      keepAwake: hasOneThread,
    };
    return this.#load.run(parameters);
  }

  /** Operations per second against clients, medians of interleaved rounds. */
  async curve(servers: readonly LoadedServer[], context: BenchContext): Promise<Series[]> {
    const durationMs = context.pick(1000, 50);
    const rounds = context.pick(CURVE_ROUNDS, 1);
    const points = servers.map((): [number, number][] => []);
    for (const clients of context.pick(CURVE_CLIENTS, [1, 4])) {
      const rates = servers.map((): number[] => []);
      for (let round = 0; round < rounds; round += 1) {
        for (const [index, server] of servers.entries()) {
          const { operations, elapsedMs } = await this.run(server, clients, durationMs);
          rates[index]!.push((operations / elapsedMs) * 1000);
        }
      }
      for (const [index, values] of rates.entries())
        points[index]!.push([clients, medianOf(values)]);
    }
    return servers.map(({ name }, index) => ({ name, points: points[index]! }));
  }
}
