/** Environments that the former version wrote are brought to the present format with all that is in them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openTables, STORE_FORMAT, type Tables } from '../../src/store/tables.ts';
import { openLmdbOutbox, type LmdbFixture } from '../support/outbox-fixture.ts';
import { complete, OutboxDriver } from '../support/outbox-driver.ts';
import { assertTablesAgree } from '../support/outbox-tables.ts';

const OWN_BYTES = 11;
const NO_HEAD = 0;
const CLAIMED = 2;

/** Chains as format 1 had them: no number of rows, and nothing where there is no head. */
async function downgrade({ chains, meta, root }: Tables): Promise<void> {
  await root.childTransaction(() => {
    for (const { key, value } of [...chains.getRange()]) {
      if (value.length !== OWN_BYTES) continue;
      const state = value.readUInt8(0);
      if (state === NO_HEAD) chains.removeSync(key);
      else
        chains.putSync(
          key,
          Buffer.concat([Buffer.of(state === CLAIMED ? 1 : 0), value.subarray(1, 7)]),
        );
    }
    meta.putSync('format', 1);
  });
}

describe('an environment of format 1', () => {
  it('keeps heads, claims and failed rows, and counts the rows of its chains', async (t) => {
    const d = await OutboxDriver.open(t, openLmdbOutbox);
    const { tables, dataDirectory } = d.fixture as LmdbFixture;
    await d.put('fails', 1);
    await d.failOne();
    await d.put('fails-and-waits', 1);
    await d.failOne();
    await d.put('fails-and-waits', 2);
    await d.put('fails-and-waits', 3);
    await d.put('claimed', 1);
    await d.put('claimed', 2);
    await d.put('k'.repeat(200), 1);
    const claims = await d.outbox.claim(d.epoch, d.lane(), 2, d.now);
    const before = [...tables.chains.getRange()];
    await downgrade(tables);
    assert.throws(() => assertTablesAgree(tables));
    const upgraded = await openTables(dataDirectory);
    assertTablesAgree(upgraded);
    assert.deepEqual([...upgraded.chains.getRange()], before);
    assert.equal(upgraded.meta.get('format'), STORE_FORMAT);
    for (const claim of claims) {
      assert(await d.settle(claim, complete(claim.row.order)));
    }
    assertTablesAgree(tables);
    await upgraded.close();
  });

  it('may have more chains than one batch takes', async (t) => {
    const d = await OutboxDriver.open(t, openLmdbOutbox);
    const { tables, dataDirectory } = d.fixture as LmdbFixture;
    const keys = Array.from({ length: 7_000 }, (_, n) => `key-${n}`);
    const writes = keys.map((key) => ({ ...d.write(key, 1) }));
    const { intent } = await d.outbox.announce([]);
    await d.outbox.commit(intent, writes);
    await downgrade(tables);
    const upgraded = await openTables(dataDirectory);
    assertTablesAgree(upgraded);
    await upgraded.close();
  });
});
