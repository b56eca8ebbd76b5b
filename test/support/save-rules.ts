/** Saves one target and one rule of a bucket in a process of its own: `save-rules.ts <data> <name>`. */
import { randomBytes } from 'node:crypto';
import { Keyring } from '../../src/sealing/keyring.ts';
import { LmdbConfigurationStore } from '../../src/store/configuration-store.ts';
import { openTables } from '../../src/store/tables.ts';
import { ANY, ruleDraft, targetDraft } from './drafts.ts';

const [, , dataDirectory = '', name = ''] = process.argv;
const bucket = { id: `id-of-${name}`, name };
const store = new LmdbConfigurationStore(
  await openTables(dataDirectory),
  new Keyring([randomBytes(32)]),
);
await store.replaceTargets(bucket, [targetDraft(1)], ANY);
await store.replaceRules(bucket, [ruleDraft(1)], ANY);
await store.close();
