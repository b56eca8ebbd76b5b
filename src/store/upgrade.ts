/**
 * From format 1 to 2: a chain's own entry also says how many rows the chain has, and chains of failed
 * rows alone have one too.
 *
 * It goes through the chains in batches, each a transaction that counts what it sees, so that it may
 * be cut off anywhere, begin anew, and run in several processes at once. Processes of the former
 * version must have ended.
 */
import type { Database } from 'lmdb';
import { CHAIN_RECORD_BYTES, chainBytes, chainRecord, readChainRecord } from './outbox-keys.ts';
import type { ChainRecord } from './outbox-keys.ts';
import type { Tables } from './tables.ts';

/** Entries that one transaction looks at; a chain is never cut in two. */
const BATCH_ENTRIES = 10_000;
const CLAIMED = 1;

/** Does nothing to entries that are of format 2 already. */
export async function upgradeChains({
  commits,
  chains,
}: Pick<Tables, 'commits' | 'chains'>): Promise<void> {
  let after: Buffer | null = null;
  do {
    const start: Buffer | null = after;
    after = await commits.run<Buffer | null>(() => upgradeBatch(chains, start));
  } while (after !== null);
}

interface Seen {
  readonly key: Buffer;
  readonly own: Buffer | null;
  rows: number;
}

/** Returns the chain to go on with, or null at the end. */
function upgradeBatch(chains: Database<Buffer, Buffer>, start: Buffer | null): Buffer | null {
  const seen: Seen[] = [];
  let entries = 0;
  let next: Buffer | null = null;
  for (const { key, value } of chains.getRange(start === null ? {} : { start })) {
    const chain = key.subarray(0, chainBytes(key));
    const last = seen.at(-1);
    const isSame = last?.key.equals(chain) === true;
    if (!isSame && entries >= BATCH_ENTRIES) {
      next = Buffer.from(chain);
      break;
    }
    entries += 1;
    const isOwn = key.length === chain.length;
    if (isSame) last.rows += 1;
    else seen.push({ key: Buffer.from(chain), own: isOwn ? value : null, rows: isOwn ? 0 : 1 });
  }
  for (const { key, own, rows } of seen)
    chains.putSync(key, chainRecord({ head: headOf(own), rows }));
  return next;
}

function headOf(own: Buffer | null): ChainRecord['head'] {
  if (own === null) return null;
  if (own.length === CHAIN_RECORD_BYTES) return readChainRecord(own).head;
  return { isClaimed: own.readUInt8(0) === CLAIMED, sequence: own.readUIntBE(1, 6) };
}
