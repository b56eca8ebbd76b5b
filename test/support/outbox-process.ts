/**
 * A process of its own on an environment: announces and commits one write, announces another, tells
 * its parent whether it got the lease, and waits to be killed. Argument: the data directory.
 */
import { randomBytes } from 'node:crypto';
import { Keyring } from '../../src/sealing/keyring.ts';
import { createStore } from '../../src/store/store.ts';
import { openTables } from '../../src/store/tables.ts';
import { BUCKET } from './outbox-driver.ts';

const tables = await openTables(process.argv[2] ?? '');
const { outbox } = createStore({ tables, keyring: new Keyring([randomBytes(32)]) });
const announced = { bucket: BUCKET, operation: 'put', before: null } as const;
const { intent } = await outbox.announce([{ ...announced, key: 'committed' }]);
await outbox.commit(intent, [
  { bucket: BUCKET, operation: 'put', key: 'committed', versionId: 'v1', order: 1, replica: false },
]);
await outbox.announce([{ ...announced, key: 'announced' }]);
process.send?.({ lease: await outbox.acquireLease() });
setInterval(() => {}, 1_000);
