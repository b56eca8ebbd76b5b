/**
 * The outbox in LMDB against the one in memory, operation by operation, on random sequences: equal
 * answers, and tables that agree with each other at the end. LOCKSTEP_RUNS is the number of sequences;
 * LOCKSTEP_SHRINK=no stops at the first failure.
 */
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { openLmdbOutbox, openMemoryOutbox } from '../support/outbox-fixture.ts';
import { assertTablesAgree } from '../support/outbox-tables.ts';
import { operations } from './lockstep-operations.ts';
import { Lockstep } from './lockstep.ts';
import { assertProperty } from '../support/seed.ts';

const RUNS = Number(process.env['LOCKSTEP_RUNS'] ?? 150);

describe('the outbox in LMDB and the one in memory', () => {
  it('answer alike to every sequence of operations', async () => {
    const property = fc.asyncProperty(operations, async (sequence) => {
      const cleanups: (() => void | Promise<void>)[] = [];
      const context = {
        after: (cleanup: () => void | Promise<void>) => void cleanups.push(cleanup),
      };
      try {
        const lmdb = await openLmdbOutbox(context, { backlogMax: 25 });
        const memory = await openMemoryOutbox(context, { backlogMax: 25 });
        const lockstep = new Lockstep(lmdb, memory);
        await lockstep.begin();
        for (const operation of sequence) {
          await lockstep.run(operation);
          await lockstep.compare(operation);
        }
        assertTablesAgree(lmdb.tables);
      } finally {
        for (const cleanup of cleanups.reverse()) await cleanup();
      }
    });
    await assertProperty(property, {
      numRuns: RUNS,
      endOnFailure: process.env['LOCKSTEP_SHRINK'] === 'no',
    });
  });
});
