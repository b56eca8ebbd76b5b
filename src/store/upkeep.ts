/** What is done once by whoever takes the lease: claims of the dead come back, and schedules of bad clocks. */
import { LINGER_MS } from '../model/delivery.ts';
import { changeRow } from './heads.ts';
import { dueKey, duePrefix, endOf, readClaim, trailingSequence } from './outbox-keys.ts';
import { giveClaimBack } from './record.ts';
import { BATCH_MAX, expectEntry } from './rows.ts';
import type { Tx } from './tx.ts';

const HOUR_MS = 3_600_000;

/**
 * Gives back up to 256 claims of other epochs.
 *
 * @param after the key of the last claim that was looked at
 * @returns the key to go on after, or null at the end
 */
export function recoverClaims(tx: Tx, epoch: number, after: Buffer | null): Buffer | null {
  const start = after === null ? {} : { start: after, exclusiveStart: true };
  const claims = Array.from(tx.tables.claims.range({ ...start, limit: BATCH_MAX }));
  for (const { value } of claims) {
    const claim = readClaim(value);
    if (claim.epoch === epoch) continue;
    const entry = expectEntry(tx, claim.sequence);
    giveClaimBack(tx, entry, { ...entry.row, doubtUntil: tx.now() + LINGER_MS });
  }
  return claims.length < BATCH_MAX ? null : (claims.at(-1)?.key ?? null);
}

export function scheduledRulesets({ counts }: Tx): Buffer[] {
  return counts.all().map(({ key }) => key);
}

/**
 * Brings schedules back that a system clock which ran ahead left in the far future, one batch of a
 * ruleset; true where more may be left. Only heads are in the due index; rows behind them are brought
 * back when they become heads (heads.ts).
 */
export function clampSchedules(tx: Tx, ruleset: Buffer, now: number): boolean {
  const latest = now + HOUR_MS;
  const keys = (['put', 'delete'] as const).flatMap((operation) => {
    const prefix = duePrefix(ruleset, operation);
    const start = dueKey(prefix, latest + 1, 0);
    return Array.from(tx.tables.due.keys({ start, end: endOf(prefix), limit: BATCH_MAX }));
  });
  for (const key of keys) {
    const entry = expectEntry(tx, trailingSequence(key));
    const { doubtUntil } = entry.row;
    changeRow(tx, entry, {
      ...entry.row,
      nextAttemptAt: latest,
      doubtUntil: doubtUntil === null ? null : Math.min(doubtUntil, latest),
    });
  }
  return keys.length >= BATCH_MAX;
}
