/** Saves one target and one rule of a bucket in a process of its own: `save-rules.ts <data> <name>`. */
import { randomBytes } from 'node:crypto';
import { Keyring } from '../../src/sealing/keyring.ts';
import { createStore } from '../../src/store/store.ts';
import { openTables } from '../../src/store/tables.ts';
import { ANY, ruleDraft, targetDraft } from './drafts.ts';

const [, , dataDirectory = '', name = ''] = process.argv;
const bucket = { id: `id-of-${name}`, name };
const { configurations, close } = createStore({
  tables: await openTables(dataDirectory),
  keyring: new Keyring([randomBytes(32)]),
});
await configurations.replaceTargets(bucket, [targetDraft(1)], ANY);
await configurations.replaceRules(bucket, [ruleDraft(1)], ANY);
await close();
