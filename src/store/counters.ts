/** Numbers of the environment that only grow, so that none is ever used twice. */
import type { Tables } from './tables.ts';

/** Sequences order rows, intents, dropped events and runs of resyncs among each other. */
const SEQUENCE = 'sequence';
const LANE = 'lane';
/** Counts transactions that may have made work without taking a sequence. */
const WORK = 'work';

type Meta = Pick<Tables, 'meta'>;

export function nextSequence(tables: Meta): number {
  return increment(tables, SEQUENCE);
}

export function lastSequence({ meta }: Meta): number {
  return meta.get(SEQUENCE) ?? 0;
}

export function nextLane(tables: Meta): number {
  return increment(tables, LANE);
}

/** For transactions that make rows due but enqueue none: other processes look at the counters. */
export function noteWork(tables: Meta): void {
  increment(tables, WORK);
}

export function countWork({ meta }: Meta): number {
  return meta.get(WORK) ?? 0;
}

function increment({ meta }: Meta, name: string): number {
  const next = (meta.get(name) ?? 0) + 1;
  meta.putSync(name, next);
  return next;
}
