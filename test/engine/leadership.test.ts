import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Leadership } from '../../src/engine/leadership.ts';
import type { Tenure } from '../../src/model/ports.ts';
import { VirtualClock } from '../simulation/virtual-clock.ts';

const LOGGER = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

function setUp() {
  const clock = new VirtualClock();
  const log: string[] = [];
  const lease = { isFree: true, renewal: (): boolean => true, epoch: 0 };
  const tenures: Tenure[] = [];
  const tenureOf = (epoch: number): Tenure =>
    ({
      epoch,
      renew: async () => lease.renewal(),
      release: async () => void log.push(`release ${epoch}`),
    }) as Tenure;
  const leadership = new Leadership({
    clock,
    logger: LOGGER,
    outbox: { acquireLease: async () => (lease.isFree ? tenureOf((lease.epoch += 1)) : null) },
    onGained: (tenure) => {
      tenures.push(tenure);
      log.push(`gained ${tenure.epoch}`);
    },
    onLost: async (isClosing) => {
      log.push(isClosing ? 'closing' : 'lost');
      await clock.sleep(3_000);
      log.push('ended');
    },
  });
  return { clock, log, lease, leadership, tenures };
}

describe('leadership', () => {
  it('stands by until the lease is free', async () => {
    const { clock, log, lease, leadership } = setUp();
    lease.isFree = false;
    leadership.start();
    await clock.run(60_000);
    assert.deepEqual(log, []);
    lease.isFree = true;
    await clock.run(5_000);
    assert.deepEqual(log, ['gained 1']);
  });

  it('ends its term at once where a call was refused, and not for a call of an earlier one', async () => {
    const { clock, log, leadership, tenures } = setUp();
    leadership.start();
    await clock.run(1_000);
    leadership.lost({ ...tenures[0]! });
    await clock.run(100);
    assert.deepEqual(log, ['gained 1']);
    leadership.lost(tenures[0]!);
    await clock.run(100);
    assert.deepEqual(log, ['gained 1', 'lost']);
    await clock.run(10_000);
    assert.deepEqual(log, ['gained 1', 'lost', 'ended', 'gained 2']);
  });

  it('ends its term where the renewal is refused', async () => {
    const { clock, log, lease, leadership } = setUp();
    leadership.start();
    await clock.run(1_000);
    lease.renewal = () => false;
    lease.isFree = false;
    await clock.run(5_000);
    assert.deepEqual(log, ['gained 1', 'lost']);
  });

  it('keeps it through renewals that fail, for as long as the lease holds', async () => {
    const { clock, log, lease, leadership } = setUp();
    leadership.start();
    lease.renewal = () => {
      throw new Error('EIO');
    };
    await clock.run(14_000);
    assert.deepEqual(log, ['gained 1']);
    await clock.run(2_000);
    assert.deepEqual(log, ['gained 1', 'lost']);
  });

  it('gives the lease back when it stops, after everything has ended', async () => {
    const { clock, log, leadership } = setUp();
    leadership.start();
    await clock.run(1_000);
    let isStopped = false;
    void leadership.stop().then(() => (isStopped = true));
    await clock.run(60_000);
    assert.equal(isStopped, true);
    assert.deepEqual(log, ['gained 1', 'closing', 'ended', 'release 1']);
  });
});
