/**
 * Runs the resync jobs of the store: lists what a rule covers and queues each key, a batch at a time.
 *
 * The job is the cursor in the store, and nothing is kept here: after a restart or a change of the
 * leader it goes on where it was. All jobs take turns, one page each, so that a job that has to wait
 * for its bucket's backlog holds up no other. The store notices a cancelled job, a rule that is gone
 * and one that was disabled, with every batch.
 */
import type { Host, ObjectPage } from '../host.ts';
import type { ConfigurationStore, QueueView, Resyncs, Tenure } from '../model/ports.ts';
import type { ResyncJob } from '../model/queue.ts';
import { pause, type EngineClock } from './clock.ts';
import { isLeaseLost } from './lease-lost.ts';

const BATCH_KEYS_MAX = 256;
/** A job waits while its bucket has more rows than this pending. */
const BACKLOG_MAX = 10_000;
const BACKLOG_WAIT_MS = 1_000;
const LOOK_INTERVAL_MS = 250;
const ERROR_WAIT_MS = 1_000;

export interface ResyncRunnerOptions {
  readonly outbox: Resyncs & Pick<QueueView, 'queueStatus'>;
  readonly configurations: Pick<ConfigurationStore, 'read'>;
  readonly host: Pick<Host, 'findBucket' | 'listCurrent' | 'logger'>;
  readonly clock: EngineClock;
  readonly tenure: Pick<Tenure, 'advanceResync'>;
  readonly onLeaseLost: () => void;
}

type Step = 'advanced' | 'waits' | 'ended';

export class ResyncRunner {
  readonly #options: ResyncRunnerOptions;
  readonly #stop = new AbortController();
  #running: Promise<void> | null = null;
  #runAgain = false;

  constructor(options: ResyncRunnerOptions) {
    this.#options = options;
  }

  /** There may be a job. */
  wake(): void {
    this.#runAgain = true;
    if (this.#running !== null || this.#stop.signal.aborted) return;
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    await this.#runJobs();
    // No await lies between the last look at #runAgain and this line.
    this.#running = null;
  }

  async #runJobs(): Promise<void> {
    const { outbox, host, clock, onLeaseLost } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      this.#runAgain = false;
      try {
        const jobs = await outbox.runningResyncs();
        if (jobs.length === 0) {
          // Every commit of the server asks for a look: the answer is old news for a while.
          await pause(clock, LOOK_INTERVAL_MS, signal);
          if (!this.#runAgain) return;
          continue;
        }
        let hasAdvanced = false;
        for (const job of jobs) {
          if (signal.aborted) return;
          hasAdvanced = (await this.#step(job)) !== 'waits' || hasAdvanced;
        }
        if (!hasAdvanced) await pause(clock, BACKLOG_WAIT_MS, signal);
      } catch (error) {
        if (isLeaseLost(error)) return onLeaseLost();
        host.logger.warn({ err: error }, 'a resync could not go on; it is tried again');
        await pause(clock, ERROR_WAIT_MS, signal);
      }
    }
  }

  /** One page of one job. */
  async #step(job: ResyncJob): Promise<Step> {
    const { outbox, configurations, host, clock, tenure } = this.#options;
    const { bucket, ruleId } = job;
    const live = await host.findBucket(bucket.name);
    const { rules } = await configurations.read(bucket);
    const rule = rules.find(({ id }) => id === ruleId);
    if (live?.id !== bucket.id || rule?.enabled !== true) {
      await outbox.cancelResync(bucket, ruleId, clock.nowMs());
      return 'ended';
    }
    const { counts } = await outbox.queueStatus(bucket);
    if (counts.reduce((sum, { pending }) => sum + pending, 0) > BACKLOG_MAX) return 'waits';
    const page = await host.listCurrent(bucket, rule.prefix, job.cursor ?? undefined);
    for (const batch of batchesOf(page)) {
      const { keys, cursor, done } = batch;
      const now = clock.nowMs();
      const next = await tenure.advanceResync(job, keys, cursor, done, now);
      if (next?.state !== 'running') return 'ended';
      if (this.#stop.signal.aborted) return 'advanced';
    }
    return 'advanced';
  }
}

interface Batch {
  readonly keys: readonly string[];
  /** The last key that was looked at, replicas included. */
  readonly cursor: string | null;
  readonly done: boolean;
}

function batchesOf({ objects, next }: ObjectPage): Batch[] {
  const batches: Batch[] = [];
  for (let start = 0; start < objects.length; start += BATCH_KEYS_MAX) {
    const batch = objects.slice(start, start + BATCH_KEYS_MAX);
    batches.push({
      keys: batch.filter(({ replica }) => !replica).map(({ key }) => key),
      cursor: batch.at(-1)?.key ?? null,
      done: false,
    });
  }
  const isLast = next === undefined;
  const last = batches.pop() ?? { keys: [], cursor: null, done: false };
  return [...batches, { ...last, cursor: next ?? last.cursor, done: isLast }];
}
