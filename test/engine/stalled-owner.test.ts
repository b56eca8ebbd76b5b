/**
 * Memory of an owner with very many targets that take nothing, in a process of its own, and what another
 * owner gets meanwhile. The kind is known from elsewhere: rclone#2694 and rclone#4259 (buffers of each
 * transfer, times the transfers), neofs-node#3918 (a spike of replication ends the process), minio#15365.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runProgram } from '../support/child-process.ts';

const MIB = 1024 * 1024;
/** Connections of one owner. */
const OWNER_CONNECTIONS = 32;

interface Result {
  readonly arrived: number;
  readonly stuck: number;
  readonly bodyBytesMax: number;
  readonly rssGrowth: number;
}

async function run(budget: number): Promise<Result> {
  const { code, stdout, stderr } = await runProgram('stalled-deliveries.ts', [String(budget)]);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout) as Result;
}

describe('160 targets of one owner that take nothing', () => {
  it('take the owner’s connections and no more, and little memory; others go on', async () => {
    const { arrived, stuck, bodyBytesMax, rssGrowth } = await run(256 * MIB);
    assert.equal(arrived, 20);
    assert.equal(stuck, OWNER_CONNECTIONS);
    assert.ok(bodyBytesMax <= (OWNER_CONNECTIONS + 20) * MIB, `${bodyBytesMax} bytes are held`);
    // Held in memory, these bodies alone would be 32 × 8 MiB.
    assert.ok(rssGrowth < 192 * MIB, `memory grows by ${Math.round(rssGrowth / MIB)} MiB`);
  });

  it('stay within a budget that is smaller than that, and leave the reserve to others', async () => {
    const { arrived, stuck, bodyBytesMax } = await run(16 * MIB);
    assert.equal(arrived, 20);
    assert.equal(stuck, 14, 'seven eighths of the budget, 1 MiB for each');
    assert.ok(bodyBytesMax <= 16 * MIB, `${bodyBytesMax} bytes are held`);
  });
});
