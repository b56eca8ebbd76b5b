/**
 * Writes to an outbox until it is killed: eight writers announce and commit keys of their own, one
 * delivers what is due. Each line on standard output is one thing that the host would have answered
 * for: `announced <key>` and `committed <key>` once the promise resolved, `delivered <key>` before
 * the outcome is written. Arguments: data directory, number of the run.
 */
import { randomBytes } from 'node:crypto';
import { writeSync } from 'node:fs';
import { Keyring } from '../../src/sealing/keyring.ts';
import { createStore } from '../../src/store/store.ts';
import { openTables } from '../../src/store/tables.ts';
import { BUCKET, complete, TARGET, due } from './outbox-driver.ts';

const [dataDirectory = '', run = ''] = process.argv.slice(2);
const tables = await openTables(dataDirectory);
const { outbox } = createStore({ tables, keyring: new Keyring([randomBytes(32)]) });

function tell(what: string, key: string): void {
  writeSync(1, `${what} ${key}\n`);
}

async function write(writer: number): Promise<void> {
  for (let n = 0; ; n++) {
    const key = `${run}/${writer}/${n}`;
    const announced = { bucket: BUCKET, key, operation: 'put', before: null } as const;
    const { intent } = await outbox.announce([announced]);
    tell('announced', key);
    await outbox.commit(intent, [
      { bucket: BUCKET, key, operation: 'put', versionId: 'v1', order: 1, replica: false },
    ]);
    tell('committed', key);
  }
}

async function deliver(): Promise<void> {
  const tenure = await outbox.acquireLease();
  if (tenure === null) throw new Error('The lease is held.');
  await tenure.recoverClaims();
  for (;;) {
    const lane = { bucket: BUCKET, targetId: TARGET };
    for (const claim of await tenure.claim(lane, due(4, Date.now()))) {
      tell('delivered', claim.row.key);
      await tenure.settleClaim(claim, complete(1));
    }
  }
}

for (let writer = 0; writer < 8; writer++) void write(writer);
void deliver();
