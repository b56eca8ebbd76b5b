/** Mistakes in the store, for its contract. */
import type { Mutant } from './mutant.ts';

export const storeMutants: readonly Mutant[] = [
  {
    name: 'LMDB: an outcome counts under an epoch that is over',
    file: 'src/store/outbox.ts',
    find: `        this.#lease.assertHeld(epoch);
        const entry = this.#parts.claims.find(epoch, claim);
        if (entry === undefined) return false;
        return this.#parts.claims.settle`,
    replacement: `        const entry = this.#parts.claims.find(epoch, claim);
        if (entry === undefined) return false;
        return this.#parts.claims.settle`,
    suite: 'contract',
  },
  {
    name: 'LMDB: a row is claimed under an epoch that is over',
    file: 'src/store/outbox.ts',
    find: `      this.#lease.assertHeld(epoch);
      return this.#parts.claims.claim(`,
    replacement: `      return this.#parts.claims.claim(`,
    suite: 'contract',
  },
  {
    name: 'LMDB: a commit leaves its intent behind',
    file: 'src/store/outbox.ts',
    find: `      removeIntent(this.#tables, intent);
      return writes.flatMap`,
    replacement: `      return writes.flatMap`,
    suite: 'contract',
  },
  {
    name: 'LMDB: a row of a lower order does not become the head',
    file: 'src/store/chains.ts',
    find: `return byOrder === 0 ? entry.sequence < head.sequence : byOrder < 0;`,
    replacement: `return byOrder === 0 && entry.sequence < head.sequence;`,
    suite: 'contract',
  },
  {
    name: 'LMDB: what supersedes leaves failed rows',
    file: 'src/store/claims.ts',
    find: `      ...find(FAILED).filter(isPast),`,
    replacement: `      ...find(FAILED).filter((key) => isPast(key) && orderOf(key) < 0),`,
    suite: 'contract',
  },
  {
    name: 'LMDB: rows that go are counted on',
    file: 'src/store/queue-rows.ts',
    find: `    this.#counts.change(ruleset, row.state, -1);`,
    replacement: ``,
    suite: 'contract',
  },
  {
    name: 'LMDB: rows of a dead process are not compared first',
    file: 'src/store/claims.ts',
    find: `this.#giveBack(entry, { ...entry.row, doubtUntil: this.#now() + LINGER_MS });`,
    replacement: `this.#giveBack(entry, { ...entry.row, doubtUntil: null });`,
    suite: 'contract',
  },
  {
    name: 'LMDB: what was sent before the power failed is in no doubt',
    file: 'src/store/enqueue.ts',
    find: `if (row.boot === boot && upMs >= LINGER_MS) return known;`,
    replacement: `if (row.boot === boot) return known;`,
    suite: 'contract',
  },
  {
    name: 'LMDB: a bucket that was made again inherits a configuration',
    file: 'src/store/configuration-cache.ts',
    find: `return stored?.bucketId === bucket.id ? stored : NO_RULES;`,
    replacement: `return stored ?? NO_RULES;`,
    suite: 'contract',
  },
  {
    name: 'LMDB: a doubt is lost where two rows become one',
    file: 'src/model/doubt.ts',
    find: `const doubtUntil = laterDoubt(row.doubtUntil, other.doubtUntil);`,
    replacement: `const { doubtUntil } = row;`,
    suite: 'contract',
  },
  {
    name: 'LMDB: a doubt is lost with the row that is superseded',
    file: 'src/store/claims.ts',
    find: `    this.#verifyAfter(claimed, doubts.reduce(laterDoubt, null), begunAt);`,
    replacement: ``,
    suite: 'contract',
  },
  {
    name: 'LMDB: a resync clears the gap of a delete that was lost',
    file: 'src/store/gaps.ts',
    find: `gap !== undefined && !gap.deleteLost && gap.last <= run`,
    replacement: `gap !== undefined && gap.last <= run`,
    suite: 'contract',
  },
  {
    name: 'LMDB: an upload is forgotten with the row that goes',
    file: 'src/store/queue-rows.ts',
    find: `    this.#strays.add(entry.row);`,
    replacement: ``,
    suite: 'contract',
  },
  {
    name: 'LMDB: a row in flight is retried',
    file: 'src/store/retries.ts',
    find: `    if (this.#chains.isClaimed(entry)) return false;`,
    replacement: ``,
    suite: 'contract',
  },
];
