/** Configurations that are kept decoded, beside another process that changes them. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Memo } from '../../src/store/memo.ts';
import type { Configuration } from '../../src/model/configuration.ts';
import { ANY, ruleDraft, targetDraft } from '../support/drafts.ts';
import { openLmdbOutbox, transactionsOn } from '../support/outbox-fixture.ts';

const SAVE_RULES = fileURLToPath(new URL('../support/save-rules.ts', import.meta.url));
const BUCKET = { id: 'id-of-photos', name: 'photos' };

const countOf = ({ revision }: Configuration): string => revision.split('-')[0]!;

describe('a store beside another on one environment', () => {
  it('reads each change of the other at once', async (t) => {
    const { configurations: store, another } = await openLmdbOutbox(t);
    const { configurations: other } = another('other');
    const revisions = async (): Promise<string[]> => [
      countOf(await store.read(BUCKET)),
      countOf(await other.read(BUCKET)),
    ];
    assert.deepEqual(await revisions(), ['0', '0']);
    await other.replaceTargets(BUCKET, [targetDraft(1)], ANY);
    assert.deepEqual(await revisions(), ['1', '1']);
    await store.replaceRules(BUCKET, [ruleDraft(1)], ANY);
    assert.deepEqual(await revisions(), ['2', '2']);
    await other.removeBucket(BUCKET);
    assert.deepEqual(await revisions(), ['0', '0']);
  });
});

describe('the hint beside another process', () => {
  it('is up to date when it must be, however long this turn of the event loop takes', async (t) => {
    const { configurations: store, dataDirectory } = await openLmdbOutbox(t);
    assert.equal(store.mayReplicate(BUCKET.name), false);
    // Nothing of this process runs meanwhile, so that its read transaction stays as it is.
    const saved = spawnSync(
      process.execPath,
      ['--import', 'tsx', SAVE_RULES, dataDirectory, BUCKET.name],
      { stdio: ['ignore', 'inherit', 'inherit'] },
    );
    assert.equal(saved.status, 0);
    assert.equal(store.mayReplicateNow(BUCKET.name), true);
    assert.equal(store.mayReplicate(BUCKET.name), true);
  });
});

describe('what is remembered', () => {
  it('is read again after a change, and after a transaction that was rolled back', async (t) => {
    const { tables } = await openLmdbOutbox(t);
    const transactions = transactionsOn(tables);
    const memo = new Memo<string, number>(tables.counters);
    let stored = 1;
    const read = (): number | undefined => transactions.read(() => memo.get('key', () => stored));
    assert.equal(read(), 1);
    stored = 2;
    assert.equal(read(), 1, 'nothing changed that counts');
    await transactions.write(() => tables.counters.noteChange());
    assert.equal(read(), 2);
    const rolledBack = transactions.write(() => {
      tables.counters.noteChange();
      assert.equal(
        memo.get('key', () => 3),
        3,
      );
      throw new Error('rolled back');
    });
    await assert.rejects(rolledBack, /rolled back/);
    assert.equal(read(), 2);
  });

  it('does not remember what is not there', async (t) => {
    const { tables } = await openLmdbOutbox(t);
    const memo = new Memo<string, number>(tables.counters);
    assert.equal(
      memo.get('key', () => undefined),
      undefined,
    );
    assert.equal(
      memo.get('key', () => 7),
      7,
    );
  });
});
