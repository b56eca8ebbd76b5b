/** The store's clock: whoever sets the wall clock changes nothing, until the machine starts again. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { machineTime } from '../../src/store/boot.ts';
import { openStoreClock } from '../../src/store/store-clock.ts';
import { openTables } from '../../src/store/tables.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const DAY_MS = 86_400_000;
const START_MS = Date.UTC(2030, 0, 1);

/** A machine whose clocks are set by hand. */
class Machine {
  boot: number | null = 1;
  upMs = 5_000;
  wallMs = START_MS;

  pass(ms: number): void {
    this.upMs += ms;
    this.wallMs += ms;
  }

  reboot(boot: number, wallMs: number): void {
    Object.assign(this, { boot, wallMs, upMs: 100 });
  }
}

async function setUp(t: TestContext) {
  const tables = await openTables(temporaryDirectory(t));
  t.after(() => tables.root.close());
  const machine = new Machine();
  const openClock = () =>
    openStoreClock(tables, {
      boot: machine.boot,
      wallMs: () => machine.wallMs,
      monotonicMs: () => machine.upMs,
    });
  return { machine, openClock };
}

describe('the clock of the store', () => {
  for (const jumpMs of [-DAY_MS, -30_000, 30_000, DAY_MS]) {
    it(`passes as time does though the wall clock is set by ${jumpMs / 1000} s`, async (t) => {
      const { machine, openClock } = await setUp(t);
      const clock = await openClock();
      machine.pass(1_000);
      machine.wallMs += jumpMs;
      machine.pass(1_000);
      assert.equal(clock.nowMs(), START_MS + 2_000);
      assert.equal((await openClock()).nowMs(), clock.nowMs(), 'a process that starts now agrees');
      assert.equal(clock.wallOf(clock.nowMs()), machine.wallMs, 'people see the wall clock');
    });
  }

  it('takes the wall clock in when the machine starts again', async (t) => {
    const { machine, openClock } = await setUp(t);
    const before = await openClock();
    const writtenAt = before.nowMs();
    machine.reboot(2, START_MS + DAY_MS);
    const clock = await openClock();
    assert.equal(clock.nowMs(), START_MS + DAY_MS);
    machine.wallMs += 60_000;
    assert.equal(clock.wallOf(writtenAt), writtenAt, 'what was written before stays as it was');
    assert.equal(clock.wallOf(clock.nowMs()), machine.wallMs);
  });

  it('takes it in at each start where the system does not say which start of the machine it is', async (t) => {
    const { machine, openClock } = await setUp(t);
    machine.boot = null;
    await openClock();
    machine.reboot(2, START_MS + DAY_MS);
    machine.boot = null;
    assert.equal((await openClock()).nowMs(), START_MS + DAY_MS);
  });

  it('runs on a monotonic clock that all processes of this machine share', async (t) => {
    const time = machineTime('a boot');
    const before = time.monotonicMs();
    t.mock.method(Date, 'now', () => 0);
    assert.ok(time.monotonicMs() >= before);
    assert.ok(before > performance.now(), 'it began before this process');
  });
});
