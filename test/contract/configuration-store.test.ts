/** The contract of configuration stores, on LMDB and in memory, and what memory alone can show. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ANY, ruleDraft, targetDraft } from '../support/drafts.ts';
import { openLmdbStore } from '../support/lmdb-store.ts';
import { MemoryConfigurationStore } from '../support/memory-configuration-store.ts';
import { describeConfigurationStore } from './configuration-store.ts';

describeConfigurationStore('LMDB', async (t) => (await openLmdbStore(t)).store);

describeConfigurationStore('memory', async (t) => {
  const store = new MemoryConfigurationStore();
  t.after(() => store.close());
  return store;
});

describe('memory store with a late disk', () => {
  const photos = { id: 'bucket-1', name: 'photos' };

  it('tells nobody of a change before it is flushed', async () => {
    const store = new MemoryConfigurationStore();
    store.holdFlushes();
    let told = false;
    const change = store.replaceTargets(photos, [targetDraft(1)], ANY).then(() => (told = true));
    await new Promise(setImmediate);
    assert.match((await store.read(photos)).revision, /^1-/);
    assert.equal(told, false);
    store.flush();
    await change;
  });

  it('a crash drops what was not flushed and nothing else', async () => {
    const store = new MemoryConfigurationStore();
    const { after } = await store.replaceTargets(photos, [targetDraft(1)], ANY);
    store.holdFlushes();
    let told = false;
    void store.replaceRules(photos, [ruleDraft(4)], ANY).then(() => (told = true));
    assert.equal(store.mayReplicate('photos'), true);
    store.crash();
    assert.deepEqual(await store.read(photos), after);
    assert.equal(store.mayReplicate('photos'), false);
    store.flush();
    await new Promise(setImmediate);
    assert.equal(told, false);
    await store.close();
  });
});
