/**
 * Lets a few hashes of passwords run at once and a bounded number wait, fairly.
 *
 * There are two queues: of those who logged in from their address before, and of everybody else. Each
 * has a place that the other can only borrow, so that neither can keep the other out: a place that
 * comes free goes to the queue that has fewer running.
 *
 * Invariants: never more than two run; somebody waits only while two run.
 */
import { FairQueue, type Asker } from './fair-queue.ts';

const RUNNING_MAX = 2;
/** Together 32. */
const WAITING_MAX = { returning: 8, others: 24 } as const;

type Queue = keyof typeof WAITING_MAX;

export interface HashAsker extends Asker {
  /** Whether the account logged in from the address before. */
  readonly isReturning: boolean;
}

interface Waiter {
  readonly begin: () => void;
  readonly refuse: () => void;
}

export class HashGate {
  readonly #queues = {
    returning: new FairQueue<Waiter>(WAITING_MAX.returning),
    others: new FairQueue<Waiter>(WAITING_MAX.others),
  };
  readonly #running = { returning: 0, others: 0 };

  /** Runs `work` when it is its turn; `full` makes the error for those who find no room to wait. */
  async run<T>(asker: HashAsker, work: () => Promise<T>, full: () => Error): Promise<T> {
    const queue: Queue = asker.isReturning ? 'returning' : 'others';
    if (this.#running.returning + this.#running.others >= RUNNING_MAX) {
      await this.#turn(queue, asker, full);
    } else {
      this.#running[queue] += 1;
    }
    try {
      return await work();
    } finally {
      this.#running[queue] -= 1;
      this.#beginNext();
    }
  }

  #turn(queue: Queue, asker: Asker, full: () => Error): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter = { begin: resolve, refuse: () => reject(full()) };
      this.#queues[queue].add(waiter, asker)?.refuse();
    });
  }

  #beginNext(): void {
    const { returning, others } = this.#running;
    const order: Queue[] = returning <= others ? ['returning', 'others'] : ['others', 'returning'];
    for (const queue of order) {
      const next = this.#queues[queue].take();
      if (next === undefined) continue;
      this.#running[queue] += 1;
      next.begin();
      return;
    }
  }
}
