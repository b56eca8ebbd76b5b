import { setTimeout as sleep } from 'node:timers/promises';

/** Polls until `condition` returns something truthy, and returns it; fails after `timeoutMs`. */
export async function until<T>(
  condition: () => T | Promise<T>,
  what: string,
  timeoutMs = 10_000,
): Promise<Exclude<NonNullable<T>, false>> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const result = await condition();
    if (result) return result as Exclude<NonNullable<T>, false>;
    if (performance.now() > deadline)
      throw new Error(`Waited ${timeoutMs} ms in vain for ${what}.`);
    await sleep(10);
  }
}
