/** What processes count, and what they see of each other's counting. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { CounterValues, Counters } from '../../src/store/counters.ts';
import { tablesIn } from '../../src/store/tables.ts';
import type { Transactions } from '../../src/store/transactions.ts';
import { transactionsOn } from '../support/outbox-fixture.ts';
import { MemoryDisk } from '../support/memory-tables.ts';
import { assertProperty } from '../support/seed.ts';

const PROCESSES = 3;

interface Peer {
  readonly counters: Counters;
  readonly transactions: Transactions;
  seen: CounterValues;
  /** Sequences that it was told are not its own. */
  readonly foreign: number[];
  othersSeen: number;
}

function valuesOf(counters: Counters): CounterValues {
  return {
    sequence: counters.lastSequence(),
    work: counters.work(),
    changes: counters.changes(),
  };
}

function look(peer: Peer): void {
  const before = peer.seen;
  peer.seen = valuesOf(peer.counters);
  const { sequences, others } = peer.counters.foreign(before, peer.seen);
  for (const [first, last] of sequences) {
    for (let sequence = first; sequence <= last; sequence++) peer.foreign.push(sequence);
  }
  if (others) peer.othersSeen += 1;
}

const step = fc.record({
  peer: fc.nat(PROCESSES - 1),
  sequences: fc.nat(3),
  kind: fc.constantFrom('look', 'count', 'count', 'work', 'roll back'),
});

describe('counters of several processes', () => {
  it('tell each what the others counted, all of it, once, and nothing of its own', async () => {
    const property = fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const disk = new MemoryDisk();
      const peers = Array.from({ length: PROCESSES }, (): Peer => {
        const tables = tablesIn(disk.connect());
        const { counters } = tables;
        const transactions = transactionsOn(tables);
        return { counters, transactions, seen: valuesOf(counters), foreign: [], othersSeen: 0 };
      });
      const counted = peers.map((): number[] => []);
      let works = 0;
      for (const { peer: n, kind, sequences } of steps) {
        const peer = peers[n]!;
        if (kind === 'look') {
          look(peer);
          continue;
        }
        const taken: number[] = [];
        const written = peer.transactions.write(() => {
          for (let taking = 0; taking < sequences; taking++) {
            taken.push(peer.counters.nextSequence());
          }
          if (kind === 'work') peer.counters.noteWork();
          if (kind === 'roll back') throw new Error('rolled back');
        });
        await written.catch(() => taken.splice(0));
        counted[n]!.push(...taken);
        if (kind === 'work' && n !== 0) works += 1;
      }
      for (const peer of peers) look(peer);
      for (const [n, { foreign }] of peers.entries()) {
        const others = counted.filter((_, other) => other !== n).flat();
        assert.deepEqual(
          foreign,
          others.sort((a, b) => a - b),
        );
      }
      assert.equal((peers[0]?.othersSeen ?? 0) > 0, works > 0);
    });
    await assertProperty(property);
  });
});
