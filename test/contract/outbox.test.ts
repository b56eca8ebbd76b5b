/** The contract of outboxes, on LMDB and in memory. */
import { openLmdbOutbox, openMemoryOutbox } from '../support/outbox-fixture.ts';
import { describeOutbox } from './outbox.ts';

describeOutbox('LMDB', openLmdbOutbox);
describeOutbox('memory', openMemoryOutbox);
