/**
 * Keys of the outbox's tables, as bytes: fixed widths and big-endian numbers, so that LMDB's order
 * of bytes is the order of the numbers, and every key has a known greatest length (65 bytes).
 * docs/key-layout.md has the table. No whole S3 key is part of a key: LMDB refuses long ones.
 */
import { hash } from 'node:crypto';
import type { Operation } from '../model/row.ts';

/** Width of sequences, orders, incarnations and times: what a double holds exactly. */
const NUMBER_BYTES = 6;
const LANE_BYTES = 4;
const KEY_NAME_MAX = 48;
const HASH_BYTES = 16;
/** In the place of a length: the name ends with a hash. */
const HASHED = 0xff;
/** Longer than whatever follows a prefix. */
const BEYOND = Buffer.alloc(2 * NUMBER_BYTES + 2, 0xff);

export const PENDING = 0;
export const FAILED = 1;
/** In `queue` alone: in its chain such a row is pending. */
export const VERIFYING = 2;
export type StateByte = typeof PENDING | typeof FAILED;
export type QueueStateByte = StateByte | typeof VERIFYING;

/** Value of entries that say everything in their key. */
export const NO_VALUE = Buffer.alloc(0);

/**
 * Stands for an S3 key: a short key by its length and itself, a long one by its first bytes and a hash
 * of the whole; two keys with one hash are as unlikely as an MD5 collision by chance. No name is the
 * beginning of another. Keys that are written one after the other are mostly neighbours in the order
 * of bytes: their chains share pages then, and a commit writes few of them.
 */
export function keyNameOf(key: string): Buffer {
  const bytes = Buffer.byteLength(key);
  if (bytes < KEY_NAME_MAX) {
    const name = Buffer.allocUnsafe(1 + bytes);
    name.writeUInt8(bytes, 0);
    name.write(key, 1);
    return name;
  }
  const name = Buffer.allocUnsafe(KEY_NAME_MAX);
  name.writeUInt8(HASHED, 0);
  Buffer.from(key).copy(name, 1, 0, KEY_NAME_MAX - HASH_BYTES - 1);
  hash('sha256', key, 'buffer').copy(name, KEY_NAME_MAX - HASH_BYTES, 0, HASH_BYTES);
  return name;
}

export function sequenceKey(sequence: number): Buffer {
  const key = Buffer.allocUnsafe(NUMBER_BYTES);
  key.writeUIntBE(sequence, 0, NUMBER_BYTES);
  return key;
}

/** Reads the number at the end of a key. */
export function trailingSequence(key: Buffer): number {
  return key.readUIntBE(key.length - NUMBER_BYTES, NUMBER_BYTES);
}

export function laneKey(lane: number): Buffer {
  const key = Buffer.allocUnsafe(LANE_BYTES);
  key.writeUInt32BE(lane, 0);
  return key;
}

export function laneOf(key: Buffer): number {
  return key.readUInt32BE(0);
}

/** lane, key name */
export function chainKey(lane: number, keyName: Buffer): Buffer {
  const key = Buffer.allocUnsafe(LANE_BYTES + keyName.length);
  key.writeUInt32BE(lane, 0);
  keyName.copy(key, LANE_BYTES);
  return key;
}

/** How much of a key in `chains` is the chain's own. */
export function chainBytes(key: Buffer): number {
  const length = key.readUInt8(LANE_BYTES);
  return LANE_BYTES + (length === HASHED ? KEY_NAME_MAX : 1 + length);
}

/** lane, key name, state, order, sequence */
export function chainEntryKey(
  lane: number,
  keyName: Buffer,
  state: StateByte,
  order: number,
  sequence: number,
): Buffer {
  const chainBytes = LANE_BYTES + keyName.length;
  const key = Buffer.allocUnsafe(chainBytes + 1 + 2 * NUMBER_BYTES);
  key.writeUInt32BE(lane, 0);
  keyName.copy(key, LANE_BYTES);
  key.writeUInt8(state, chainBytes);
  key.writeUIntBE(order, chainBytes + 1, NUMBER_BYTES);
  key.writeUIntBE(sequence, chainBytes + 1 + NUMBER_BYTES, NUMBER_BYTES);
  return key;
}

export function orderOf(chainEntry: Buffer): number {
  return chainEntry.readUIntBE(chainEntry.length - 2 * NUMBER_BYTES, NUMBER_BYTES);
}

/** n, n × incarnation: what says which rules a row is for. */
export function rulesetBytes(ruleset: readonly number[]): Buffer {
  return writeRuleset(Buffer.allocUnsafe(1 + ruleset.length * NUMBER_BYTES), ruleset, 0);
}

/** Reads what {@link rulesetBytes} wrote at `offset`. */
export function readRuleset(bytes: Buffer, offset: number): number[] {
  return Array.from({ length: bytes.readUInt8(offset) }, (_, index) =>
    bytes.readUIntBE(offset + 1 + index * NUMBER_BYTES, NUMBER_BYTES),
  );
}

/** lane, ruleset: the key in `counts`, and the prefix in `due` and `queue`. */
export function rulesetKey(lane: number, ruleset: readonly number[]): Buffer {
  const key = Buffer.allocUnsafe(LANE_BYTES + 1 + ruleset.length * NUMBER_BYTES);
  key.writeUInt32BE(lane, 0);
  return writeRuleset(key, ruleset, LANE_BYTES);
}

function writeRuleset(bytes: Buffer, ruleset: readonly number[], offset: number): Buffer {
  bytes.writeUInt8(ruleset.length, offset);
  for (const [index, incarnation] of ruleset.entries()) {
    bytes.writeUIntBE(incarnation, offset + 1 + index * NUMBER_BYTES, NUMBER_BYTES);
  }
  return bytes;
}

export function rulesetOf(key: Buffer): number[] {
  return readRuleset(key, LANE_BYTES);
}

const OPERATION_BYTES: Readonly<Record<Operation, number>> = { put: 0, delete: 1 };

/** lane, ruleset, operation */
export function duePrefix(rulesetPrefix: Buffer, operation: Operation): Buffer {
  const key = Buffer.allocUnsafe(rulesetPrefix.length + 1);
  rulesetPrefix.copy(key, 0);
  key.writeUInt8(OPERATION_BYTES[operation], rulesetPrefix.length);
  return key;
}

/** lane, ruleset, operation, time, sequence */
export function dueKey(prefix: Buffer, time: number, sequence: number): Buffer {
  const key = Buffer.allocUnsafe(prefix.length + 2 * NUMBER_BYTES);
  prefix.copy(key, 0);
  key.writeUIntBE(time, prefix.length, NUMBER_BYTES);
  key.writeUIntBE(sequence, prefix.length + NUMBER_BYTES, NUMBER_BYTES);
  return key;
}

export function dueTimeOf(key: Buffer): number {
  return key.readUIntBE(key.length - 2 * NUMBER_BYTES, NUMBER_BYTES);
}

/** lane, ruleset, state */
export function queuePrefix(rulesetPrefix: Buffer, state: QueueStateByte): Buffer {
  return Buffer.concat([rulesetPrefix, Buffer.of(state)]);
}

/** lane, ruleset, state, sequence */
export function queueKey(rulesetPrefix: Buffer, state: QueueStateByte, sequence: number): Buffer {
  const key = Buffer.allocUnsafe(rulesetPrefix.length + 1 + NUMBER_BYTES);
  rulesetPrefix.copy(key, 0);
  key.writeUInt8(state, rulesetPrefix.length);
  key.writeUIntBE(sequence, rulesetPrefix.length + 1, NUMBER_BYTES);
  return key;
}

/** time of the failure, sequence */
export function expiryKey(failedAt: number, sequence: number): Buffer {
  return twoNumbers(failedAt, sequence);
}

/** Where the range of keys with that prefix ends. */
export function endOf(prefix: Buffer): Buffer {
  return Buffer.concat([prefix, BEYOND]);
}

/** How many rows of a lane and ruleset there are, by state. */
export interface StateCounts {
  readonly pending: number;
  readonly verifying: number;
  readonly failed: number;
}

export function countsValue({ pending, verifying, failed }: StateCounts): Buffer {
  const value = Buffer.allocUnsafe(3 * NUMBER_BYTES);
  value.writeUIntBE(pending, 0, NUMBER_BYTES);
  value.writeUIntBE(failed, NUMBER_BYTES, NUMBER_BYTES);
  value.writeUIntBE(verifying, 2 * NUMBER_BYTES, NUMBER_BYTES);
  return value;
}

function twoNumbers(first: number, second: number): Buffer {
  const value = Buffer.allocUnsafe(2 * NUMBER_BYTES);
  value.writeUIntBE(first, 0, NUMBER_BYTES);
  value.writeUIntBE(second, NUMBER_BYTES, NUMBER_BYTES);
  return value;
}

export function readCounts(value: Buffer): StateCounts {
  return {
    pending: value.readUIntBE(0, NUMBER_BYTES),
    failed: value.readUIntBE(NUMBER_BYTES, NUMBER_BYTES),
    verifying: value.readUIntBE(2 * NUMBER_BYTES, NUMBER_BYTES),
  };
}

/** The claimed row of a chain, and the epoch of who claimed it. */
export function claimValue(sequence: number, epoch: number): Buffer {
  return twoNumbers(sequence, epoch);
}

export function readClaim(value: Buffer): { sequence: number; epoch: number } {
  return {
    sequence: value.readUIntBE(0, NUMBER_BYTES),
    epoch: value.readUIntBE(NUMBER_BYTES, NUMBER_BYTES),
  };
}

/** What a chain's own entry says. */
export interface ChainRecord {
  /** Null where the chain has failed rows only. */
  readonly head: { readonly isClaimed: boolean; readonly sequence: number } | null;
  /** All of the chain's rows, failed ones too. */
  readonly rows: number;
}

const NO_HEAD = 0;
const READY = 1;
const CLAIMED = 2;
const ROWS_BYTES = 4;
export const CHAIN_RECORD_BYTES = 1 + NUMBER_BYTES + ROWS_BYTES;

export function chainRecord({ head, rows }: ChainRecord): Buffer {
  const value = Buffer.allocUnsafe(CHAIN_RECORD_BYTES);
  value.writeUInt8(head === null ? NO_HEAD : head.isClaimed ? CLAIMED : READY, 0);
  value.writeUIntBE(head?.sequence ?? 0, 1, NUMBER_BYTES);
  value.writeUInt32BE(rows, 1 + NUMBER_BYTES);
  return value;
}

export function readChainRecord(value: Buffer): ChainRecord {
  const state = value.readUInt8(0);
  const sequence = value.readUIntBE(1, NUMBER_BYTES);
  return {
    head: state === NO_HEAD ? null : { isClaimed: state === CLAIMED, sequence },
    rows: value.readUInt32BE(1 + NUMBER_BYTES),
  };
}
