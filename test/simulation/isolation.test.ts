/**
 * Isolation: what a healthy target gets, and when, is the same whether or not its neighbours swallow
 * everything or are slow. Same owner, same bucket, same writes.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ANY, ruleDraft, targetDraft } from '../support/drafts.ts';
import { uuid } from '../support/replication-bodies.ts';
import { FaultyTargets, GOOD_SECRET } from './faulty-target.ts';
import { NO_FAULTS, type Fault } from './faults.ts';
import { Random } from './random.ts';
import { SimulatedHost } from './simulated-host.ts';
import { SimulatedProcess, type World } from './simulated-process.ts';
import { SimulatedStores } from './simulated-stores.ts';
import { UploadLedger } from './upload-ledger.ts';
import { VirtualClock } from './virtual-clock.ts';

const WRITES = 60;
const HEALTHY = 1;

/** When each key arrived at the healthy target, in virtual milliseconds. */
async function arrivals(neighbours: Readonly<Record<number, Fault>>): Promise<Map<string, number>> {
  const clock = new VirtualClock();
  const stores = new SimulatedStores(clock, (flush) => void clock.after(5, flush));
  const host = new SimulatedHost();
  const targets = new FaultyTargets(clock, new Random(1), NO_FAULTS);
  const random = new Random(2);
  const world: World = {
    clock,
    stores,
    host,
    targets,
    uploads: new UploadLedger(),
    random,
    violations: [],
    epochs: { newest: 0 },
    onUploadStored: () => undefined,
  };
  const numbers = [HEALTHY, ...Object.keys(neighbours).map(Number)];
  const drafts = numbers.map((n) =>
    targetDraft(n, { newSecret: GOOD_SECRET, targetBucket: `backup-${host.bucket.id}-${n}` }),
  );
  const rules = numbers.map((n) => ruleDraft(n, { targetId: uuid(n) }));
  const { configurations } = stores.owner;
  const saved = configurations
    .replaceTargets(host.bucket, drafts, ANY)
    .then(() => configurations.replaceRules(host.bucket, rules, ANY));
  await clock.run(1_000);
  await saved;
  // One latency for all, as draws depend on who asks first.
  for (const n of numbers) targets.fixed.set(`https://192.0.2.${n}`, neighbours[n] ?? 'steady');

  const arrived = new Map<string, number>();
  const place = targets.place(drafts[0] ?? targetDraft(HEALTHY));
  targets.onApplied = (where, key) => {
    if (where === place && !arrived.has(key)) arrived.set(key, clock.monotonicMs());
  };
  const { engine } = new SimulatedProcess('simulated', world);
  engine.start();
  await clock.run(1_000);
  for (let write = 0; write < WRITES; write++) {
    const key = `key-${write}`;
    void engine
      .announce([{ bucket: host.bucket, key, operation: 'put', before: null }])
      .then((announcement) => {
        const committed = host.apply(key, 'put', clock.monotonicMs());
        return announcement.committed(committed === null ? [] : [committed]);
      });
    await clock.run(write % 20 === 0 ? 500 : 3);
  }
  await clock.run(120_000);
  await Promise.all([engine.close(), clock.run(60_000)]);
  assert.deepEqual(world.violations, []);
  return arrived;
}

describe('isolation of lanes', () => {
  const cases: readonly (readonly [string, Readonly<Record<number, Fault>>])[] = [
    ['a black hole', { 2: 'stall' }],
    ['a slow target', { 3: 'slow' }],
    ['a black hole, a slow target and one that refuses', { 2: 'stall', 3: 'slow', 4: 'refuse' }],
  ];
  for (const [name, neighbours] of cases) {
    it(`delivers at the same times beside ${name}`, async () => {
      const alone = await arrivals({});
      assert.equal(alone.size, WRITES);
      assert.deepEqual(await arrivals(neighbours), alone);
    });
  }
});
