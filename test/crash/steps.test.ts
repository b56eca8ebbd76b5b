/**
 * A server is killed at every step between a write and its delivery, and what it left behind is
 * killed again. After the last start every acknowledged write is at the replica, so is every other one
 * that the host has committed, and nothing arrives twice or is left over.
 *
 * Each bucket is brought to a step of its own, where its call stops; one SIGKILL then ends the process
 * with all of them as they are. The table is in scenarios.ts.
 */
import { after, before, describe, it } from 'node:test';
import { CrashRun, stepsOf } from './crash-run.ts';
import { scenarios } from './scenarios.ts';

const run = new CrashRun('crash-steps');

/** Kills what the first process left; those that are late come to their step after a minute. */
async function killAgain(): Promise<void> {
  const { source } = run;
  const late = scenarios.filter(({ isLate }) => isLate);
  const others = scenarios.filter(({ isLate }) => !isLate);
  const buckets = late.map(({ bucket }) => bucket);
  await source.start(stepsOf(scenarios, 1));
  await run.comeTo(stepsOf(others, 1));
  await source.settled(buckets);
  await source.leap(buckets);
  await run.comeTo(stepsOf(late, 1));
  await source.kill();
}

describe('a server that was killed at a step', () => {
  before(async () => {
    await run.start();
    await run.setUp(scenarios);
    await run.change(scenarios);
    await killAgain();
    await run.source.start();
    await run.source.drained(scenarios.map(({ bucket }) => bucket));
  });
  after(() => run.close());

  for (const scenario of scenarios) {
    it(scenario.title, () => run.assertArrived(scenario));
  }

  it('leaves nothing in the queue', () => run.assertNothingLeft());
});
