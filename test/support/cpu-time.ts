/**
 * What a piece of work costs this process: unlike the time that passes meanwhile, it says little of
 * what else the machine does. Nothing else may run in the process in the meantime.
 */

export interface Cost<T> {
  readonly result: T;
  /** Milliseconds of processor time. */
  readonly cpuMs: number;
}

/** Does the work and tells what it cost. */
export async function costOf<T>(work: () => T | Promise<T>): Promise<Cost<T>> {
  const before = process.cpuUsage();
  const result = await work();
  const { user, system } = process.cpuUsage(before);
  return { result, cpuMs: (user + system) / 1_000 };
}
