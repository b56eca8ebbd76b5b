import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { itKeepsInvariants, runChecked, runInProcess } from './schedules.ts';

/**
 * Seeds that once failed, with what they were about. A seed means another schedule once the
 * generator changes: what was found is then worth a test of its own, named at the end.
 */
const REGRESSIONS: readonly (readonly [seed: number, about: string])[] = [
  [253, 'rows that wait for a removed target, when the target is saved again'],
  [373, 'a bucket made again while requests of the old one are under way'],
  [900, 'a version that came and went between announcement and commit (settlement.test.ts)'],
  [271, 'tags that changed between two tries of an upload (deliver.test.ts)'],
  [6544, 'a row that was lost with the power, and not the request for it (outbox-processes.ts)'],
];

describe('the engine, simulated', () => {
  itKeepsInvariants(0);

  for (const [seed, about] of REGRESSIONS) {
    it(`seed ${seed}: ${about}`, async () => {
      await runChecked(seed);
    });
  }

  it('runs the same schedule from the same seed', async () => {
    assert.deepEqual(await runInProcess(42), await runInProcess(42));
  });
});
