/** What only the outbox in LMDB does: bytes, other processes, rollback, and where rows end up. */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Work } from '../../src/model/work.ts';
import { Keyring } from '../../src/sealing/keyring.ts';
import { createStore, type Store } from '../../src/store/store.ts';
import { createIdentity, mayBeAlive, retireIdentity } from '../../src/store/process-identity.ts';
import { openTables } from '../../src/store/tables.ts';
import { ANY, ruleDraft, targetDraft } from '../support/drafts.ts';
import { BUCKET, OutboxDriver, RULE, complete, due, retry } from '../support/outbox-driver.ts';
import {
  openLmdbOutbox,
  openMemoryOutbox,
  type LmdbFixture,
  transactionsOn,
  type MemoryFixture,
} from '../support/outbox-fixture.ts';
import { assertTablesAgree } from '../support/outbox-tables.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';

describe('transactions that are run together', () => {
  it('one that throws undoes itself alone', async (t) => {
    const { tables } = await openLmdbOutbox(t);
    const transactions = transactionsOn(tables);
    const put = (name: string, fails: boolean): Promise<string> =>
      transactions.writeTogether(() => {
        tables.meta.put(name, 1);
        if (fails) throw new Error(name);
        return name;
      });
    const results = await Promise.allSettled([put('a', false), put('b', true), put('c', false)]);
    assert.deepEqual(
      results.map((result) =>
        result.status === 'fulfilled' ? result.value : (result.reason as Error).message,
      ),
      ['a', 'b', 'c'],
    );
    assert.deepEqual(
      ['a', 'b', 'c'].map((name) => tables.meta.get(name)),
      [1, undefined, 1],
    );
  });

  it('more than one transaction takes are all written', async (t) => {
    const { tables } = await openLmdbOutbox(t);
    const transactions = transactionsOn(tables);
    const names = Array.from({ length: 1_000 }, (_, n) => `name-${n}`);
    const manners = [{}, { durably: true }, { patienceMs: 5 }];
    await Promise.all(
      names.map((name, n) =>
        transactions.writeTogether(() => tables.meta.put(name, n), manners[n % 3]),
      ),
    );
    assert.deepEqual(
      names.map((name) => tables.meta.get(name)),
      names.map((_, n) => n),
    );
  });

  it('all are told where LMDB lets none begin, and later ones are written', async (t) => {
    const { tables } = await openLmdbOutbox(t);
    const { commits } = tables;
    const run = commits.run.bind(commits);
    let failures = 3;
    commits.run = (work) => {
      if (failures === 0) return run(work);
      failures -= 1;
      return Promise.reject(new Error('No transaction can begin.'));
    };
    const transactions = transactionsOn(tables);
    const put = (name: string): Promise<void> =>
      transactions.writeTogether(() => tables.meta.put(name, 1));
    const results = await Promise.allSettled([put('a'), put('b')]);
    assert.deepEqual(
      results.map(({ status }) => status),
      ['rejected', 'rejected'],
    );
    await put('c');
    assert.deepEqual(
      ['a', 'b', 'c'].map((name) => tables.meta.get(name)),
      [undefined, undefined, 1],
    );
  });

  it('an order that no key can hold fails its own write alone and leaves no trace', async (t) => {
    const d = await OutboxDriver.open(t, openLmdbOutbox);
    const [good, bad] = await Promise.allSettled([d.put('a', 1), d.put('b', 2 ** 50)]);
    assert.equal(good.status, 'fulfilled');
    assert.equal(bad.status, 'rejected');
    const { tables } = d.fixture as LmdbFixture;
    assertTablesAgree(tables);
    assert.equal((await d.status()).pending, 1);
  });
});

describe('the outbox and its environment', () => {
  it('refuses new work once it closes, and finishes what runs', async (t) => {
    const d = await OutboxDriver.open(t, openMemoryOutbox);
    const running = d.outbox.commit(0, [d.write('a', 1)]);
    await d.fixture.close();
    const { tables } = d.fixture as MemoryFixture;
    assert.equal([...tables.rows.keys()].length, 1, 'written before the close resolved');
    await running;
    await assert.rejects(d.put('a', 2), { code: 'ServiceUnavailable' });
  });

  it('rows of before a start of the operating system are in doubt', async (t) => {
    const { tables, configurations } = await openMemoryOutbox(t);
    const keyring = new Keyring([randomBytes(32)]);
    const open = (bootId: string): Store['outbox'] =>
      createStore({
        tables,
        keyring,
        identity: { instance: bootId, pid: 1, startTime: '1', bootId },
        mayBeAlive: () => false,
        bootedForMs: () => Infinity,
      }).outbox;
    await configurations.replaceTargets(BUCKET, [targetDraft(1)], ANY);
    await configurations.replaceRules(BUCKET, [ruleDraft(RULE)], ANY);
    const write = {
      bucket: BUCKET,
      key: 'a',
      operation: 'put',
      versionId: 'v',
      replica: false,
    } as const;
    await open('first').commit(0, [{ ...write, order: 1 }]);
    const second = open('second');
    await second.commit(0, [{ ...write, key: 'b', order: 1 }]);
    const tenure = (await second.acquireLease())!;
    const [lane] = await second.lanes();
    const now = Date.now() + 1_000;
    const claims = await tenure.claim(lane!, due(9, now));
    assert.deepEqual(
      claims.map(({ row }) => [row.key, row.doubtUntil !== null]),
      [
        ['a', true],
        ['b', false],
      ],
    );
  });

  it('a failed row of a former version that carries an upload resumes it when it is retried', async (t) => {
    const d = await OutboxDriver.open(t, openMemoryOutbox);
    const [row] = await d.put('a', 1);
    await d.failOne();
    const { rows, storage } = (d.fixture as MemoryFixture).tables;
    const [entry] = Array.from(rows.range());
    const upload = { uploadId: 'u', versionId: 'v1', order: 1, partBytes: 8 };
    await storage.transaction(() => rows.put(entry!.key, { ...entry!.value, upload }));
    await d.outbox.retryRow(BUCKET, row!.sequence, d.now);
    assert.deepEqual((await d.claim())?.row.upload, upload);
    assert.deepEqual(await d.outbox.strayLanes(), []);
  });

  it('a row behind very many of a disabled rule goes first again after a retry', async (t) => {
    const d = await OutboxDriver.open(t, openMemoryOutbox);
    const writes = Array.from({ length: 1_500 }, (_, n) => d.write('a', n));
    await d.outbox.commit(0, writes);
    await d.rules([{ n: RULE, enabled: false }, { n: 7 }]);
    await d.put('a', 5_000);
    await d.settle((await d.claim())!, retry(d.now));
    assert.equal((await d.claim())?.row.order, 5_000);
  });

  it('looks at a bounded number of rows to tell what became of a version', async (t) => {
    const d = await OutboxDriver.open(t, openMemoryOutbox);
    const writes = Array.from({ length: 1_000 }, (_, n) => d.write('a', n + 1));
    await d.outbox.commit(0, writes);
    const { rows } = (d.fixture as MemoryFixture).tables;
    const get = t.mock.method(rows, 'get');
    const stateOf = (versionId: string): Promise<unknown> =>
      d.outbox.versionState({ bucket: BUCKET, key: 'a', versionId });
    assert.equal(await stateOf('v1000'), 'pending');
    assert.equal(get.mock.callCount(), 1, 'the newest first');
    assert.equal(await stateOf('v1'), 'pending');
    assert(get.mock.callCount() < 100);
    await d.settle((await d.claim())!, complete(1_000));
    assert.equal(await stateOf('v1'), null);
  });

  it('sweeps a large backlog in batches, and forgets the lanes of a bucket that is gone', async (t) => {
    const d = await OutboxDriver.open(t, openMemoryOutbox);
    const writes = Array.from({ length: 1_500 }, (_, n) => d.write(`k${n % 700}`, n));
    await d.outbox.commit(0, writes);
    await d.configurations.removeBucket(BUCKET);
    const { tables } = d.fixture as MemoryFixture;
    let calls = 0;
    let left = [...tables.rows.keys()].length;
    for (let more = true; more; calls++) {
      more = await d.tenure.sweep(d.now);
      const now = [...tables.rows.keys()].length;
      assert(left - now <= 64, 'one transaction removes at most 64 rows');
      left = now;
      assertTablesAgree(tables);
    }
    assert(calls >= 1_500 / 64);
    assert.equal(left, 0);
    assert.deepEqual(Array.from(tables.laneOwners.keys()), []);
    assert.deepEqual(Array.from(tables.lanes.keys()), []);
  });
});

describe('stray uploads of a bucket that is gone', () => {
  it('are forgotten in batches, before their lane', async (t) => {
    const d = await OutboxDriver.open(t, openMemoryOutbox);
    const writes = Array.from({ length: 150 }, (_, n) => d.write(`k${n}`, n));
    await d.outbox.commit(0, writes);
    for (const claim of await d.tenure.claim(d.lane(), due(150, d.now))) {
      const upload = { uploadId: `u-${claim.row.key}`, versionId: 'v', order: 1, partBytes: 8 };
      await d.tenure.storeUpload(claim, upload);
      await d.settle(claim, complete(claim.row.order));
    }
    const { tables } = d.fixture as MemoryFixture;
    await d.sweep();
    let left = [...tables.strays.keys()].length;
    assert.equal(left, 150);
    await d.configurations.removeBucket(BUCKET);
    for (let more = true; more;) {
      more = await d.tenure.sweep(d.now);
      const now = [...tables.strays.keys()].length;
      assert(left - now <= 64, 'one transaction forgets at most 64');
      left = now;
      assertTablesAgree(tables);
    }
    assert.equal(left, 0);
    assert.deepEqual(Array.from(tables.laneOwners.keys()), []);
  });
});

describe('process identities', () => {
  it('an instance lives until it is retired; strangers are dead where provably so', () => {
    const self = createIdentity();
    assert.equal(mayBeAlive(self), true);
    assert.equal(mayBeAlive({ ...self, instance: 'another instance of this process' }), false);
    assert.equal(mayBeAlive({ ...self, bootId: 'of another start' }), false);
    assert.equal(mayBeAlive({ ...self, startTime: `${self.startTime}0` }), false);
    assert.equal(mayBeAlive({ ...self, pid: 2 ** 22 + 1 }), false);
    retireIdentity(self);
    assert.equal(mayBeAlive(self), false);
  });
});

describe('several processes on one environment', () => {
  it('share the queue, tell each other, and leave what a killed one announced', async (t) => {
    const dataDirectory = temporaryDirectory(t);
    const tables = await openTables(dataDirectory);
    const keyring = new Keyring([randomBytes(32)]);
    const { configurations, outbox, close } = createStore({ tables, keyring, feedIntervalMs: 10 });
    t.after(close);
    await configurations.replaceTargets(BUCKET, [targetDraft(1)], ANY);
    await configurations.replaceRules(BUCKET, [ruleDraft(RULE)], ANY);
    const told: Work[] = [];
    outbox.subscribe((work) => told.push(work));
    const tenure = (await outbox.acquireLease())!;

    const program = fileURLToPath(new URL('../support/outbox-process.ts', import.meta.url));
    const child = fork(program, [dataDirectory], { execArgv: ['--import', 'tsx'] });
    const [first] = (await once(child, 'message')) as [{ lease: number | null }];
    assert.equal(first.lease, null, 'the lease is held');
    await until(() => told.length > 0, 'the notice of the other process');
    const lane = { bucket: { id: BUCKET.id, name: BUCKET.name }, targetId: targetDraft(1).id };
    assert.deepEqual(told, [{ kind: 'lanes', lanes: [lane] }], 'and of nothing that is our own');
    assert.equal((await tenure.leftIntents()).length, 0);
    child.kill('SIGKILL');
    await once(child, 'exit');

    const left = await tenure.leftIntents();
    assert.deepEqual(
      left.map(({ writes }) => writes.map(({ key }) => key)),
      [['announced']],
    );
    const rows = await outbox.pageRows(BUCKET, {}, null, 9);
    assert.deepEqual(
      rows.map(({ key }) => key),
      ['committed'],
    );
    assertTablesAgree(tables);
  });
});
