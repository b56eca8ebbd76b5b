import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Long enough for a machine that does much else: what is waited for is a matter of whether, and of
 * the order of things, never of how long they took.
 */
export const LIMIT_MS = 120_000;
const LOOK_INTERVAL_MS = 10;

/** Polls until `condition` returns something truthy, and returns it; fails after `timeoutMs`. */
export async function until<T>(
  condition: () => T | Promise<T>,
  what: string,
  timeoutMs = LIMIT_MS,
): Promise<Exclude<NonNullable<T>, false>> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const result = await condition();
    if (result) return result as Exclude<NonNullable<T>, false>;
    if (performance.now() > deadline)
      throw new Error(`Waited ${timeoutMs} ms in vain for ${what}.`);
    await sleep(LOOK_INTERVAL_MS);
  }
}
