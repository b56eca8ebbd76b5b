/**
 * A change is durable before it is answered, and happens as a whole or not at all.
 *
 * That a killed process loses nothing does not show a flush: the kernel keeps what was written. So
 * the flush is held back here, and, where a system call tracer exists, watched.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { ANY, ruleDraft, targetDraft } from '../support/drafts.ts';
import { runProgram } from '../support/child-process.ts';
import { openLmdbOutbox } from '../support/outbox-fixture.ts';
import { targetBody } from '../support/replication-bodies.ts';
import { startReplicationHost } from '../support/replication-host.ts';
import { readStoredRecords } from '../support/stored-records.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';
import type { LmdbTables, Tables } from '../../src/store/tables.ts';

const PHOTOS = { id: 'bucket-1', name: 'photos' };
const MUSIC = { id: 'bucket-2', name: 'music' };
const STRACE = '/usr/bin/strace';

/** Holds back what a commit waits for, its flush (test/lmdb/commits.test.ts); the result lets go. */
function holdFlushes(tables: LmdbTables): () => void {
  let release: (() => void) | undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  const run = tables.commits.run.bind(tables.commits);
  tables.commits.run = async (work) => {
    const result = await run(work);
    await held;
    return result;
  };
  return () => release!();
}

describe('the flush precedes the answer', () => {
  type Change = (
    store: Awaited<ReturnType<typeof openLmdbOutbox>>['configurations'],
  ) => Promise<unknown>;
  const changes: Readonly<Record<string, Change>> = {
    replaceTargets: (store) => store.replaceTargets(PHOTOS, [targetDraft(2)], ANY),
    replaceRules: (store) => store.replaceRules(PHOTOS, [ruleDraft(4)], ANY),
    removeBucket: (store) => store.removeBucket(PHOTOS),
  };
  for (const [name, change] of Object.entries(changes)) {
    it(`${name} is committed at once and resolves with the flush`, async (t) => {
      const { configurations: store, tables } = await openLmdbOutbox(t);
      const { after } = await store.replaceTargets(PHOTOS, [targetDraft(1)], ANY);
      const release = holdFlushes(tables);
      let resolved = false;
      const changed = change(store).then(() => (resolved = true));
      await until(
        async () => (await store.read(PHOTOS)).revision !== after.revision,
        'the change to be committed',
      );
      // Everything that the commit set in motion has had its turns.
      for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
      assert.equal(resolved, false);
      release();
      await changed;
    });
  }

  it('system calls: a sync has ended between the request and its 200', async (t) => {
    if (!existsSync(STRACE)) {
      t.diagnostic(`${STRACE} is not installed: only the held flush was tested`);
      return;
    }
    const directory = temporaryDirectory(t);
    const trace = join(directory, 'trace');
    const calls = 'trace=read,write,writev,sendto,sendmsg,fsync,fdatasync,msync';
    const prefix = [STRACE, '-f', '-s', '40', '-e', calls, '-o', trace];
    const saves = 5;
    const args = [join(directory, 'data'), String(saves)];
    const ended = await runProgram('save-targets.ts', args, { prefix });
    assert.equal(ended.code, 0, ended.stderr);
    assert.equal(unsyncedAnswers(readFileSync(trace, 'utf8').split('\n')).join(), '');
    assert.equal(countAnswers(readFileSync(trace, 'utf8')), saves);
  });
});

describe('a change that fails', () => {
  it('leaves nothing behind, and what shares its transaction is committed', async (t) => {
    const { configurations: store, tables, dataDirectory } = await openLmdbOutbox(t);
    await store.replaceTargets(PHOTOS, [targetDraft(1)], ANY);
    const before = await readStoredRecords(dataDirectory);
    const broken = failForPhotos(t, tables);
    const results = await Promise.allSettled([
      store.replaceTargets(MUSIC, [targetDraft(1)], ANY),
      store.replaceRules(PHOTOS, [ruleDraft(4)], ANY),
      store.replaceTargets(MUSIC, [targetDraft(2)], ANY),
    ]);
    assert.deepEqual(
      results.map((result) => result.status),
      ['fulfilled', 'rejected', 'fulfilled'],
    );
    assert.equal(broken.recordWasWritten(), true, 'it failed after the record was written');
    const after = await readStoredRecords(dataDirectory);
    assert.deepEqual(after.configurations.get('photos'), before.configurations.get('photos'));
    assert.equal(after.configurations.get('music')?.targets[0]?.id, targetDraft(2).id);
    assert.deepEqual([...after.hints], []);
    assert.equal(after.meta.get('incarnation'), undefined, 'the failed change numbered no rule');
  });

  it('is a 500 without its cause, and the next change works', async (t) => {
    const host = await startReplicationHost(t);
    const saved = await host.putTargets([targetBody()]);
    t.mock.method(host.host, 'withBucketLock', async () => {
      throw new Error('MDB_MAP_FULL at /srv/data');
    });
    const failed = await host.putTargets([]);
    assert.deepEqual([failed.status, failed.json.code], [500, 'InternalError']);
    assert.equal(/MDB|srv/.test(failed.text), false);
    t.mock.restoreAll();
    assert.equal((await host.getTargets()).text, saved.text);
    assert.equal((await host.putTargets([])).status, 200);
  });
});

/** Writes of the bucket's hint throw; by then the record itself was written in the same transaction. */
function failForPhotos(t: TestContext, tables: Tables): { recordWasWritten(): boolean } {
  let written = false;
  const put = tables.hints.put.bind(tables.hints);
  t.mock.method(tables.hints, 'put', (name: string, value: true) => {
    if (name !== PHOTOS.name) return put(name, value);
    written = tables.configurations.get(PHOTOS.name)?.rules.length === 1;
    throw new Error('no room for the hint');
  });
  return { recordWasWritten: () => written };
}

/** Lines of the trace that send a 200 although no sync ended since the request was read. */
function unsyncedAnswers(lines: readonly string[]): string[] {
  let synced = true;
  return lines.filter((line) => {
    if (/ read\(\d+, "PUT \/api/.test(line)) synced = false;
    if (/(?:fsync|fdatasync|msync)(?: resumed>|\().*\) += 0$/.test(line)) synced = true;
    return isAnswer(line) && !synced;
  });
}

function countAnswers(trace: string): number {
  return trace.split('\n').filter(isAnswer).length;
}

function isAnswer(line: string): boolean {
  return / (?:write|writev|sendto|sendmsg)\(.*"HTTP\/1\.1 200/.test(line);
}
