/**
 * Says in the store what one lane shows, so that every process can show it, also after a restart. A
 * healthy lane says nothing; what a failing one says is asked for in the same turn as the outcome of
 * the delivery that failed, and is committed with it.
 *
 * Invariant: at most one report is being stored; the newest follows where it says something else. A
 * lane begins from what is stored, and again whenever its retry mark changes.
 */
import { reportedBreakers, type LaneBreakers } from '../model/lane-breakers.ts';
import { HEALTHY, isSameReport, type LaneReport } from '../model/lane-report.ts';
import type { LaneRef, LastError } from '../model/row.ts';
import type { LaneContext } from './lane-context.ts';
import { isLeaseLost } from './lease-lost.ts';

/** What a delivery tells about the lane; what is absent stays as it was. */
export interface LaneNews {
  readonly lastError?: LastError | null | undefined;
  readonly tagsRefused?: boolean;
  /** Requests wait for a first connection. */
  readonly connecting?: boolean;
}

export class LaneReporter {
  readonly #ref: LaneRef;
  readonly #context: LaneContext;
  /** Null before the first look. */
  #retryMark: number | null = null;
  /** As far as this process knows. */
  #stored: LaneReport = HEALTHY;
  #latest: LaneReport = HEALTHY;
  #storing: Promise<void> | null = null;

  constructor(ref: LaneRef, context: LaneContext) {
    this.#ref = ref;
    this.#context = context;
  }

  isUnder(retryMark: number): boolean {
    return retryMark === this.#retryMark;
  }

  /** Goes on from what is stored under that mark. Rejects where it cannot be read. */
  async begin(retryMark: number): Promise<void> {
    const report = await this.#context.outbox.laneReport(this.#ref);
    this.#retryMark = retryMark;
    this.#stored = report;
    this.#latest = report;
  }

  say(breakers: LaneBreakers, news: LaneNews = {}): void {
    const { lastError, tagsRefused, connecting = this.#latest.connecting } = news;
    const before = this.#latest;
    const { breaker, retryAt, refused } = reportedBreakers(breakers, (at) => this.#storeTimeAt(at));
    const areTagsRefused = tagsRefused === true || before.degraded.includes('tags');
    this.#latest = {
      breaker,
      retryAt,
      connecting,
      lastError: lastError === undefined ? before.lastError : lastError,
      degraded: [...(areTagsRefused ? (['tags'] as const) : []), ...refused],
    };
    this.#warn(before);
    if (this.#storing === null && this.#hasNews()) this.#storing = this.#storeWhileNew();
  }

  /** One line when a lane stops sending, and one when it goes on. */
  #warn(before: LaneReport): void {
    const { breaker, lastError } = this.#latest;
    const { logger } = this.#context;
    const { bucket, targetId } = this.#ref;
    const fields = { bucket: bucket.name, targetId };
    if (before.breaker === 'closed' && breaker === 'open') {
      const reason = lastError?.reason ?? null;
      logger.warn({ ...fields, reason }, 'a target fails, and is only probed from now on');
    } else if (before.breaker !== 'closed' && breaker === 'closed') {
      logger.warn(fields, 'a target that failed works again');
    }
  }

  /** Resolves when nothing is being stored. Never rejects. */
  async settled(): Promise<void> {
    await this.#storing;
  }

  #hasNews(): boolean {
    return this.#retryMark !== null && !isSameReport(this.#latest, this.#stored);
  }

  async #storeWhileNew(): Promise<void> {
    const { tenure, logger } = this.#context;
    try {
      while (this.#hasNews()) {
        const mark = this.#retryMark ?? 0;
        const report = this.#latest;
        await tenure.storeReport(this.#ref, mark, report);
        if (this.isUnder(mark)) this.#stored = report;
      }
    } catch (error) {
      const { bucket, targetId } = this.#ref;
      if (isLeaseLost(error)) this.#context.onLeaseLost();
      else
        logger.error(
          { err: error, bucket: bucket.name, targetId },
          'how a target is doing could not be stored; it is tried again with the next news',
        );
    } finally {
      // No await lies between the loop's last comparison and this line.
      this.#storing = null;
    }
  }

  #storeTimeAt(monotonicMs: number): number {
    const { clock } = this.#context;
    return clock.nowMs() + Math.max(0, Math.round(monotonicMs - clock.monotonicMs()));
  }
}
