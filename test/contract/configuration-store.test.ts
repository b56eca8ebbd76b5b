/** The contract of configuration stores, on LMDB and on tables in memory. */
import { openLmdbOutbox, openMemoryOutbox } from '../support/outbox-fixture.ts';
import { describeConfigurationStore } from './configuration-store.ts';

describeConfigurationStore('LMDB', openLmdbOutbox);
describeConfigurationStore('memory', openMemoryOutbox);
