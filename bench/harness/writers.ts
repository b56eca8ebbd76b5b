/** Many writers at once, in the process that is measured. */
import type { Work } from './pairs.ts';

export interface WriterLoad {
  readonly writers: number;
  readonly durationMs: number;
}

/** Each writer begins its next write when the last one has ended. */
export async function runWriters(
  { writers, durationMs }: WriterLoad,
  write: () => Promise<void>,
): Promise<Work> {
  const start = performance.now();
  const deadline = start + durationMs;
  let operations = 0;
  await Promise.all(
    Array.from({ length: writers }, async () => {
      while (performance.now() < deadline) {
        await write();
        operations += 1;
      }
    }),
  );
  return { operations, elapsedMs: performance.now() - start };
}

/** `count` calls with the numbers from 0, at most `concurrency` at a time. */
export async function runEach(
  count: number,
  concurrency: number,
  work: (n: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      while (next < count) await work(next++);
    }),
  );
}
