/** What becomes of claims: each is recorded under the epoch of who claimed, or not at all. */
import { laterDoubt } from '../model/doubt.ts';
import type { ClaimOutcome } from '../model/queue.ts';
import { ORDER_LAST, type Claim, type UploadState } from '../model/row.ts';
import {
  adoptRules,
  chainOf,
  findResolve,
  isActive,
  isAlone,
  overtaking,
  type ChainRef,
} from './chains.ts';
import { addVerification, doubtOf, takeIn } from './enqueue.ts';
import { changeRow, failHead, finishHead, giveHeadBack, removeRows } from './heads.ts';
import {
  chainEntryKey,
  chainKey,
  endOf,
  FAILED,
  orderOf,
  PENDING,
  readClaim,
  trailingSequence,
  type StateByte,
} from './outbox-keys.ts';
import {
  BATCH_MAX,
  expectEntry,
  readEntry,
  replaceEntry,
  withoutUpload,
  type Entry,
} from './rows.ts';
import type { Tx } from './tx.ts';

/**
 * False where the row is not claimed under that epoch. `more` where hundreds of rows are superseded: then
 * a batch of them went, and it is to be called again.
 */
export function settleClaim(
  tx: Tx,
  epoch: number,
  claim: Claim,
  outcome: ClaimOutcome,
): boolean | 'more' {
  const claimed = findClaimed(tx, epoch, claim);
  if (claimed === undefined) return false;
  if (outcome.kind === 'complete') return complete(tx, claimed, outcome) || 'more';
  const { doubtUntil } = outcome;
  const row = { ...claimed.row, boot: tx.boot, doubtUntil };
  const attempts = row.attempts + 1;
  switch (outcome.kind) {
    case 'retry': {
      const { nextAttemptAt, lastError, refused, upload, asResolve } = outcome;
      const tried = { ...row, attempts, nextAttemptAt, lastError, refused, upload };
      const newer = refused || asResolve ? overtaking(tx, claimed) : undefined;
      if (newer !== undefined) {
        overtake(tx, claimed, newer, doubtOf(tx, { ...claimed, row: tried }));
      } else {
        giveClaimBack(tx, claimed, asResolve ? toResolve(tried) : tried);
      }
      break;
    }
    case 'fail': {
      const { lastError, refused } = outcome;
      const failed = { ...row, attempts, lastError, refused, upload: null };
      failHead(tx, claimed, { ...failed, state: 'failed', failedAt: tx.now() });
      break;
    }
    case 'release':
      giveClaimBack(tx, claimed, row);
  }
  return true;
}

/** False where the row is not claimed under that epoch. */
export function storeUpload(
  tx: Tx,
  epoch: number,
  claim: Claim,
  upload: UploadState | null,
): boolean {
  const entry = findClaimed(tx, epoch, claim);
  if (entry === undefined) return false;
  const old = upload === null ? withoutUpload(entry) : entry;
  replaceEntry(tx, old, { ...entry, row: { ...entry.row, upload } });
  return true;
}

/** The claimed row goes back as `row` says. */
export function giveClaimBack(tx: Tx, claimed: Entry, row: Entry['row']): void {
  giveHeadBack(tx, claimed, takeIn(tx, claimed, row));
}

function findClaimed(tx: Tx, epoch: number, claim: Claim): Entry | undefined {
  const entry = readEntry(tx, claim.row.sequence);
  if (entry === undefined) return undefined;
  const held = tx.tables.claims.get(chainKey(entry.row.lane, entry.keyName));
  if (held === undefined) return undefined;
  const { sequence, epoch: heldEpoch } = readClaim(held);
  return sequence === entry.sequence && heldEpoch === epoch ? entry : undefined;
}

/** What the target refuses, or what is gone, does not hold up what came after it. */
function overtake(tx: Tx, claimed: Entry, { sequence }: Entry, doubtUntil: number | null): void {
  finishHead(tx, claimed);
  const newer = expectEntry(tx, sequence);
  changeRow(tx, newer, adoptRules(tx, newer.row, claimed.row));
  if (doubtUntil !== null && doubtUntil > tx.now()) verifyLater(tx, claimed, doubtUntil);
}

function complete(
  tx: Tx,
  claimed: Entry,
  { upTo, begunAt, uploadId }: Extract<ClaimOutcome, { kind: 'complete' }>,
): boolean {
  // Most chains have one row: what else would have to be looked for is known not to be there.
  const hasOthers = !isAlone(tx, claimed);
  if (hasOthers && !supersede(tx, claimed, upTo, begunAt)) return false;
  const isCompleted = claimed.row.upload?.uploadId === uploadId;
  finishHead(tx, isCompleted ? withoutUpload(claimed) : claimed);
  if (hasOthers) adoptDoubt(tx, claimed, begunAt);
  verifyAfter(tx, claimed, doubtOf(tx, claimed), begunAt);
  return true;
}

/** Removes up to 256 rows that the claimed one supersedes; false where more are left. */
function supersede(tx: Tx, claimed: Entry, upTo: number, begunAt: number): boolean {
  const entries = superseded(tx, chainOf(claimed), upTo)
    .filter((sequence) => sequence !== claimed.sequence)
    .map((sequence) => expectEntry(tx, sequence));
  const batch = entries.slice(0, BATCH_MAX);
  removeRows(tx, batch);
  const doubts = batch.map((entry) => doubtOf(tx, entry));
  verifyAfter(tx, claimed, doubts.reduce(laterDoubt, null), begunAt);
  return entries.length <= BATCH_MAX;
}

/**
 * Rows up to that order, at most two batches and a little more. Pending `resolve` rows stay: they may
 * be for changes after what was delivered. Failed ones are from before it and go.
 */
function superseded({ tables }: Tx, { lane, keyName }: ChainRef, upTo: number): number[] {
  const last = Math.min(upTo, ORDER_LAST - 1);
  const find = (state: StateByte): Buffer[] => {
    const start = chainEntryKey(lane, keyName, state, 0, 0);
    const end = endOf(start.subarray(0, -12));
    return Array.from(tables.chains.keys({ start, end, limit: BATCH_MAX + 2 }));
  };
  const isPast = (key: Buffer): boolean => orderOf(key) <= last || orderOf(key) === ORDER_LAST;
  return [
    ...find(PENDING).filter((key) => orderOf(key) <= last),
    ...find(FAILED).filter(isPast),
  ].map(trailingSequence);
}

/**
 * A request for a row whose rules are disabled or gone may be applied after what was delivered now:
 * the rules of the latter want the key looked at.
 */
function adoptDoubt(tx: Tx, delivered: Entry, begunAt: number): void {
  const resolve = findResolve(tx, chainOf(delivered), -1);
  if (resolve === undefined || isActive(tx, resolve.row)) return;
  verifyAfter(tx, delivered, doubtOf(tx, resolve), begunAt);
}

/** What was sent after the doubt was over stays as it is. */
function verifyAfter(tx: Tx, delivered: Entry, doubtUntil: number | null, begunAt: number): void {
  if (doubtUntil !== null && doubtUntil > begunAt) verifyLater(tx, delivered, doubtUntil);
}

function verifyLater(tx: Tx, { row }: Entry, doubtUntil: number): void {
  addVerification(tx, row.lane, row.ruleset, row.key, doubtUntil);
}

function toResolve(row: Entry['row']): Entry['row'] {
  return { ...row, operation: 'resolve', versionId: null, order: ORDER_LAST };
}
