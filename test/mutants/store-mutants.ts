/**
 * Mistakes in the store: for the simulation, which runs it on a disk in memory, and for its contract.
 */
import type { Mutant } from './mutant.ts';

export const storeMutants: readonly Mutant[] = [
  {
    name: 'store: a row is claimed under an epoch that is over',
    file: 'src/store/outbox.ts',
    find: `      this.#lease.assertHeld(epoch);
      return this.#parts.claims.claim(`,
    replacement: `      return this.#parts.claims.claim(`,
    suite: 'simulation',
  },
  {
    name: 'store: an index keeps the rows that go',
    file: 'src/store/queue-rows.ts',
    find: `    queue.remove(queueKey(ruleset, queueStateOf(row), sequence));`,
    replacement: ``,
    suite: 'simulation',
  },
  {
    name: 'store: a head that changes stays in the index of what is due',
    file: 'src/store/chains.ts',
    find: `    if (isHead) this.#dropDue(old);`,
    replacement: ``,
    suite: 'simulation',
  },
  {
    name: 'store: no head is chosen anew',
    file: 'src/store/chains.ts',
    find: `record.head === null ? this.#look(chain) : NOTHING_SEEN`,
    replacement: `NOTHING_SEEN`,
    suite: 'simulation',
  },
  {
    name: 'store: rows that fail are counted as pending too',
    file: 'src/store/row-counts.ts',
    find: `      pending: before.pending + pending,`,
    replacement: `      pending: before.pending + Math.max(pending, -failed),`,
    suite: 'simulation',
  },
  {
    name: 'store: writes are told of before they are flushed',
    file: 'src/store/transactions.ts',
    find: `          for (const { run } of together) run();`,
    replacement: `          for (const { run, done } of together.splice(0)) {
            run();
            done();
          }`,
    suite: 'simulation',
  },
  {
    name: 'store: what is delivered supersedes too little',
    file: 'src/store/claims.ts',
    find: `      ...find(PENDING).filter((key) => orderOf(key) <= last),`,
    replacement: ``,
    suite: 'simulation',
  },
  {
    name: 'store: what is delivered supersedes too much',
    file: 'src/store/claims.ts',
    find: `      ...find(PENDING).filter((key) => orderOf(key) <= last),`,
    replacement: `      ...find(PENDING),`,
    suite: 'simulation',
  },
  {
    name: 'store: a gap is forgotten where an event is dropped',
    file: 'src/store/enqueue.ts',
    find: `    for (const drop of dropped) noteGap(this.#tables, bucket, drop, now);`,
    replacement: `    void [dropped, now];`,
    suite: 'simulation',
  },
  {
    name: 'store: deletes are queued for rules that do not replicate them',
    file: 'src/model/match.ts',
    find: `key.startsWith(rule.prefix) && (operation === 'put' || rule.replicateDeletes)`,
    replacement: `key.startsWith(rule.prefix) && operation !== undefined`,
    suite: 'simulation',
  },
  {
    name: 'store: an announcement of a dead process is forgotten',
    file: 'src/store/outbox.ts',
    find: `        this.#parts.enqueuer.enqueueMatching({ ...write, replica: false }, null),`,
    replacement: `        write.key === null ? [] : [],`,
    suite: 'simulation',
  },
  {
    name: 'store: claims of a dead process stay',
    file: 'src/store/claims.ts',
    find: `      if (claim.epoch === epoch) continue;`,
    replacement: `      if (claim.epoch <= epoch) continue;`,
    suite: 'simulation',
  },
  {
    name: 'store: a resync clears the gap of what was dropped meanwhile',
    file: 'src/store/gaps.ts',
    find: `!gap.deleteLost && gap.last <= run`,
    replacement: `!gap.deleteLost && run > 0`,
    suite: 'simulation',
  },
  {
    name: 'store: failed rows expire a day early',
    file: 'src/store/sweep.ts',
    find: `const FAILED_KEPT_MS = 7 * 24 * HOUR_MS;`,
    replacement: `const FAILED_KEPT_MS = 6 * 24 * HOUR_MS;`,
    suite: 'simulation',
  },
  {
    name: 'store: a second row waits for whatever is current',
    file: 'src/store/claims.ts',
    find: `this.#chains.giveBack(claimed, this.#enqueuer.takeIn(claimed, row));`,
    replacement: `this.#chains.giveBack(claimed, row);`,
    suite: 'simulation',
  },
  {
    name: 'contract: what overtakes a refused row forgets its rules',
    file: 'src/store/claims.ts',
    find: `    this.#chains.update(newer, this.#chains.adoptRules(newer.row, claimed.row));`,
    replacement: ``,
    suite: 'contract',
  },
  {
    name: 'contract: an outcome counts under an epoch that is over',
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
    name: 'contract: a commit leaves its intent behind',
    file: 'src/store/outbox.ts',
    find: `      removeIntent(this.#tables, intent);
      return writes.flatMap`,
    replacement: `      return writes.flatMap`,
    suite: 'contract',
  },
  {
    name: 'contract: a row of a lower order does not become the head',
    file: 'src/store/chains.ts',
    find: `return byOrder === 0 ? entry.sequence < head.sequence : byOrder < 0;`,
    replacement: `return byOrder === 0 && entry.sequence < head.sequence;`,
    suite: 'contract',
  },
  {
    name: 'contract: what supersedes leaves failed rows',
    file: 'src/store/claims.ts',
    find: `      ...find(FAILED).filter(isPast),`,
    replacement: `      ...find(FAILED).filter((key) => isPast(key) && orderOf(key) < 0),`,
    suite: 'contract',
  },
  {
    name: 'contract: rows that go are counted on',
    file: 'src/store/queue-rows.ts',
    find: `    this.#counts.change(ruleset, row.state, -1);`,
    replacement: ``,
    suite: 'contract',
  },
  {
    name: 'contract: rows of a dead process are not compared first',
    file: 'src/store/claims.ts',
    find: `this.#giveBack(entry, { ...entry.row, doubtUntil: this.#now() + LINGER_MS });`,
    replacement: `this.#giveBack(entry, { ...entry.row, doubtUntil: null });`,
    suite: 'contract',
  },
  {
    name: 'contract: what was sent before the power failed is in no doubt',
    file: 'src/store/enqueue.ts',
    find: `if (row.boot === boot && upMs >= LINGER_MS) return known;`,
    replacement: `if (row.boot === boot) return known;`,
    suite: 'contract',
  },
  {
    name: 'contract: a bucket that was made again inherits a configuration',
    file: 'src/store/configuration-cache.ts',
    find: `return stored?.bucketId === bucket.id ? stored : NO_RULES;`,
    replacement: `return stored ?? NO_RULES;`,
    suite: 'contract',
  },
  {
    name: 'contract: a doubt is lost where two rows become one',
    file: 'src/model/doubt.ts',
    find: `const doubtUntil = laterDoubt(row.doubtUntil, other.doubtUntil);`,
    replacement: `const { doubtUntil } = row;`,
    suite: 'contract',
  },
  {
    name: 'contract: a doubt is lost with the row that is superseded',
    file: 'src/store/claims.ts',
    find: `    this.#verifyAfter(claimed, doubts.reduce(laterDoubt, null), begunAt);`,
    replacement: ``,
    suite: 'contract',
  },
  {
    name: 'contract: a resync clears the gap of what was dropped meanwhile',
    file: 'src/store/gaps.ts',
    find: `!gap.deleteLost && gap.last <= run`,
    replacement: `!gap.deleteLost && run > 0`,
    suite: 'contract',
  },
  {
    name: 'contract: failed rows expire early',
    file: 'src/store/sweep.ts',
    find: `dueTimeOf(key) <= now - FAILED_KEPT_MS`,
    replacement: `dueTimeOf(key) <= now - FAILED_KEPT_MS + 1_000`,
    suite: 'contract',
  },
  {
    name: 'contract: a second row waits for whatever is current',
    file: 'src/store/claims.ts',
    find: `this.#chains.giveBack(claimed, this.#enqueuer.takeIn(claimed, row));`,
    replacement: `this.#chains.giveBack(claimed, row);`,
    suite: 'contract',
  },
  {
    name: 'contract: a resync clears the gap of a delete that was lost',
    file: 'src/store/gaps.ts',
    find: `gap !== undefined && !gap.deleteLost && gap.last <= run`,
    replacement: `gap !== undefined && gap.last <= run`,
    suite: 'contract',
  },
  {
    name: 'contract: an upload is forgotten with the row that goes',
    file: 'src/store/queue-rows.ts',
    find: `    this.#strays.add(entry.row);`,
    replacement: ``,
    suite: 'contract',
  },
  {
    name: 'contract: a row in flight is retried',
    file: 'src/store/retries.ts',
    find: `    if (this.#chains.isClaimed(entry)) return false;`,
    replacement: ``,
    suite: 'contract',
  },
];
