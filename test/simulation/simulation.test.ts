/**
 * Thousands of seeded schedules. A failing seed is printed; run it alone with SIMULATION_SEED=<seed>,
 * run more with SIMULATION_RUNS=<n> (and SIMULATION_SEED as the first of them).
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runSchedule } from './schedule.ts';

const RUNS = 2_000;
const FIRST_SEED = 1;
/** Seeds that once failed, with what they found. */
const REGRESSIONS: readonly (readonly [seed: number, found: string])[] = [
  [253, 'rows that wait for a removed target, when the target is saved again'],
  [300, 'the same under overlapping rules'],
  [373, 'a bucket made again while requests of the old one are under way'],
];

const { SIMULATION_SEED: seedText, SIMULATION_RUNS: runsText } = process.env;
const firstSeed = seedText === undefined ? FIRST_SEED : Number(seedText);
const runs = runsText === undefined ? (seedText === undefined ? RUNS : 1) : Number(runsText);

describe('the engine, simulated', () => {
  it(`keeps its invariants through ${runs} schedules from seed ${firstSeed}`, async (t) => {
    let requests = 0;
    for (let seed = firstSeed; seed < firstSeed + runs; seed++) {
      requests += await runChecked(seed);
    }
    t.diagnostic(`${requests} requests in ${runs} schedules`);
    assert.ok(runs < 100 || requests > 5 * runs, 'the schedules must have sent something');
  });

  for (const [seed, found] of REGRESSIONS) {
    it(`seed ${seed}: ${found}`, async () => {
      await runChecked(seed);
    });
  }

  it('runs the same schedule from the same seed', async () => {
    assert.deepEqual(await runSchedule(42), await runSchedule(42));
  });
});

async function runChecked(seed: number): Promise<number> {
  const { violations, requests } = await runSchedule(seed);
  assert.deepEqual(violations, [], `seed ${seed} failed: run it with SIMULATION_SEED=${seed}`);
  return requests;
}
