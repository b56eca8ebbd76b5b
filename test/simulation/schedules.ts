/**
 * Thousands of seeded schedules, dealt out to two test files, which run side by side. A failing seed
 * is printed; run it alone with ALARIK_TEST_SEED=<seed>, run more with SIMULATION_RUNS=<n> (and
 * ALARIK_TEST_SEED as the first of them).
 */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { after, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { isSeedChosen, seed as firstSeed } from '../support/seed.ts';
import type { ScheduleResult } from './schedule.ts';

const RUNS = 2_000;
const SHARES = 2;

const { SIMULATION_RUNS: runsText } = process.env;
const runs = runsText === undefined ? (isSeedChosen ? 1 : RUNS) : Number(runsText);

const program = fileURLToPath(new URL('./schedule-process.ts', import.meta.url));
const child = fork(program, { execArgv: ['--import', 'tsx'] });
const ended = once(child, 'exit').then(([code, signal]) => {
  throw new Error(`The process of the schedules ended with ${code ?? signal}.`);
});
ended.catch(() => undefined);
after(() => child.disconnect());

/** Registers the test of every second schedule, from the first (0) or the second (1) on. */
export function itKeepsInvariants(share: 0 | 1): void {
  const seeds = Array.from({ length: runs }, (_, index) => firstSeed + index).filter(
    (_, index) => index % SHARES === share,
  );
  it(`keeps its invariants through ${seeds.length} schedules from seed ${firstSeed + share}`, async (t) => {
    let requests = 0;
    let uploads = 0;
    for (const seed of seeds) {
      const result = await runChecked(seed);
      requests += result.requests;
      uploads += result.uploads;
    }
    t.diagnostic(`${requests} requests and ${uploads} uploads in ${seeds.length} schedules`);
    if (seeds.length < 100) return;
    assert.ok(requests > 5 * seeds.length, 'hardly anything was sent');
    assert.ok(uploads > seeds.length / 10, 'hardly anything was sent in parts');
  });
}

export async function runChecked(seed: number): Promise<ScheduleResult> {
  const failed = `seed ${seed} failed: run it with ALARIK_TEST_SEED=${seed}`;
  const result = await runInProcess(seed).catch((error: unknown) => {
    throw new Error(failed, { cause: error });
  });
  assert.deepEqual(result.violations, [], failed);
  return result;
}

/** One at a time. @throws Error where the process that runs it ends, as on an error that nobody handles */
export async function runInProcess(seed: number): Promise<ScheduleResult> {
  child.send(seed);
  const [result] = (await Promise.race([once(child, 'message'), ended])) as [ScheduleResult];
  return result;
}
