import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ResyncRunner } from '../../src/engine/resync-runner.ts';
import type { ObjectPage } from '../../src/host.ts';
import type { Outbox } from '../../src/model/ports.ts';
import { SimulatedStores } from '../simulation/simulated-stores.ts';
import { VirtualClock } from '../simulation/virtual-clock.ts';
import { ANY, ruleDraft, targetDraft } from '../support/drafts.ts';
import { uuid } from '../support/replication-bodies.ts';
import { BUCKET, head } from './fixtures.ts';

const LOGGER = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const PAGE_MAX = 1_000;

/** A bucket with `count` objects, every tenth of them a replica. */
async function setUp(count: number) {
  const clock = new VirtualClock();
  const { outbox: store, configurations } = new SimulatedStores(clock).owner;
  const keys = Array.from({ length: count }, (_, n) => `key-${String(n).padStart(6, '0')}`);
  const saveRule = async (draft = ruleDraft(1)): Promise<void> => {
    const saved = configurations.replaceRules(BUCKET, [draft], ANY);
    await Promise.all([saved, clock.run(10)]);
  };
  await Promise.all([configurations.replaceTargets(BUCKET, [targetDraft(1)], ANY), clock.run(10)]);
  await saveRule();
  const tenure = await store.acquireLease();
  assert.ok(tenure !== null);
  const batches: number[] = [];
  let pending = 0;
  const outbox = new Proxy<Outbox>(store, {
    get: (_store, name: keyof Outbox) => {
      if (name === 'queueStatus') {
        const counts = [
          { targetId: uuid(1), ruleset: [1], pending, verifying: 99_999, failed: 99_999 },
        ];
        return async () => ({ counts, gaps: [], oldest: [] });
      }
      return Reflect.get(store, name, store).bind(store) as unknown;
    },
  });
  const live = { ...BUCKET, ownerId: 'owner', versioning: 'Enabled' as const };
  const runner = new ResyncRunner({
    outbox,
    configurations,
    clock,
    tenure: {
      advanceResync: (...args) => {
        batches.push(args[1].length);
        return tenure.advanceResync(...args);
      },
    },
    onLeaseLost: () => assert.fail('the lease was lost'),
    host: {
      logger: LOGGER,
      findBucket: async () => live,
      listCurrent: async (_bucket, _prefix, after = ''): Promise<ObjectPage> => {
        const left = keys.filter((key) => key > after);
        const page = left
          .slice(0, PAGE_MAX)
          .map((key) => head({ key, replica: key.endsWith('0') }));
        const last = page.at(-1);
        return last !== undefined && left.length > PAGE_MAX
          ? { objects: page, next: last.key }
          : { objects: page };
      },
    },
  });
  const readJob = () => store.readResync(BUCKET, uuid(1));
  const setPending = (n: number): void => void (pending = n);
  return { clock, store, configurations, saveRule, runner, batches, readJob, setPending };
}

describe('resync runner', () => {
  it('queues every object but replicas, at most 256 at a time', async () => {
    const { clock, store, runner, batches, readJob } = await setUp(600);
    await store.startResync(BUCKET, uuid(1), clock.nowMs());
    runner.wake();
    await clock.run(60_000);
    assert.equal((await readJob())?.state, 'completed');
    assert.equal((await readJob())?.enqueued, 540);
    assert.ok(batches.every((size) => size <= 256) && batches.length === 3);
  });

  it('completes the job of an empty bucket', async () => {
    const { clock, store, runner, readJob } = await setUp(0);
    await store.startResync(BUCKET, uuid(1), clock.nowMs());
    runner.wake();
    await clock.run(1_000);
    assert.equal((await readJob())?.state, 'completed');
  });

  it('waits while the bucket has more than 10,000 rows pending', async () => {
    const { clock, store, runner, readJob, setPending } = await setUp(5);
    setPending(10_001);
    await store.startResync(BUCKET, uuid(1), clock.nowMs());
    runner.wake();
    await clock.run(60_000);
    assert.equal((await readJob())?.scanned, 0);
    setPending(10_000);
    await clock.run(2_000);
    assert.equal((await readJob())?.state, 'completed');
  });

  it('cancels the job of a rule that was disabled meanwhile', async () => {
    const { clock, store, saveRule, runner, batches, readJob, setPending } = await setUp(5);
    setPending(10_001);
    await store.startResync(BUCKET, uuid(1), clock.nowMs());
    runner.wake();
    await clock.run(5_000);
    await saveRule(ruleDraft(1, { enabled: false }));
    await clock.run(5_000);
    assert.equal((await readJob())?.state, 'cancelled');
    assert.deepEqual(batches, []);
  });

  it('goes on where it was under another leader', async () => {
    const { clock, store, configurations, runner, readJob } = await setUp(5);
    const job = await store.startResync(BUCKET, uuid(1), clock.nowMs());
    assert.ok(job !== null);
    const tenure = (await store.acquireLease())!;
    await tenure.advanceResync(job, ['key-000001'], 'key-000002', false, clock.nowMs());
    await runner.stop();
    const next = new ResyncRunner({
      outbox: store,
      configurations,
      clock,
      tenure,
      onLeaseLost: () => assert.fail('the lease was lost'),
      host: {
        logger: LOGGER,
        findBucket: async () => ({ ...BUCKET, ownerId: 'owner', versioning: 'Enabled' }),
        listCurrent: async (_bucket, _prefix, after) => {
          assert.equal(after, 'key-000002');
          return { objects: [head({ key: 'key-000003' })] };
        },
      },
    });
    next.wake();
    await clock.run(1_000);
    assert.deepEqual((await readJob())?.scanned, 2);
    assert.equal((await readJob())?.state, 'completed');
  });
});
