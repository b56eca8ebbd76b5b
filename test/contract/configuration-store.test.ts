/** The contract of configuration stores, on LMDB and on tables in memory. */
import { openLmdbStore } from '../support/lmdb-store.ts';
import { openMemoryOutbox } from '../support/outbox-fixture.ts';
import { describeConfigurationStore } from './configuration-store.ts';

describeConfigurationStore('LMDB', async (t) => (await openLmdbStore(t)).store);
describeConfigurationStore('memory', async (t) => (await openMemoryOutbox(t)).configurations);
