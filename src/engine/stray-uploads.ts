/**
 * Aborts the multipart uploads of one lane that no row carries any longer, a bounded number a round.
 *
 * One request at a time, beside the lane's deliveries. A round ends at the first request that fails,
 * which says nothing about deliveries (the credentials may allow those alone) and is not told to the
 * breaker; the next round goes on behind it, so that one upload that cannot be aborted does not keep
 * the others. An upload that was begun at another place than the target is at now is forgotten: the
 * credentials are not for that place.
 */
import type { StrayUpload } from '../model/queue.ts';
import type { LaneRef } from '../model/row.ts';
import type { LaneSlots } from './connection-slots.ts';
import type { LaneConnection } from './lane-connection.ts';
import type { LaneContext } from './lane-context.ts';
import { isLeaseLost } from './lease-lost.ts';
import { isGone, LostUploads, type LostCreation } from './lost-uploads.ts';

const ROUND_MAX = 64;

export interface StrayRound {
  readonly connection: LaneConnection;
  readonly slots: LaneSlots;
  /** Asked before each request. */
  readonly mayGoOn: () => boolean;
  readonly signal: AbortSignal;
}

export class StrayUploads {
  readonly #ref: LaneRef;
  readonly #context: LaneContext;
  readonly #lookAfter: (delayMs: number) => void;
  #isWanted = false;
  #isUnderWay = false;
  /** The last one that was looked at; null at the beginning. */
  #after: StrayUpload | null = null;
  /** Uploads of this lane whose ids were never told. */
  readonly lost: LostUploads;

  /** @param lookAfter has {@link want} called after so many milliseconds, and a round begun */
  constructor(ref: LaneRef, context: LaneContext, lookAfter: (delayMs: number) => void) {
    this.#ref = ref;
    this.#context = context;
    this.#lookAfter = lookAfter;
    this.lost = new LostUploads({
      nowMs: () => context.clock.nowMs(),
      onLeft: () => context.onUploadLeft(),
    });
  }

  /** The answer to the creation of an upload was lost. */
  noteLost(creation: LostCreation): void {
    this.lost.note(creation);
    this.#lookForLost();
  }

  /** There are some. */
  want(): void {
    this.#isWanted = true;
  }

  /**
   * Begins a round, where one is wanted, none is under way, and there is a connection. It never rejects;
   * call again when it ends.
   */
  begin(round: StrayRound): Promise<void> | null {
    if (!this.#isWanted || this.#isUnderWay || round.slots.take(1) !== 1) return null;
    this.#isWanted = false;
    this.#isUnderWay = true;
    return this.#carryOut(round);
  }

  async #carryOut(round: StrayRound): Promise<void> {
    const { connection, mayGoOn, signal } = round;
    await this.#attempt(() => this.#abortSome(round));
    // Strays that cannot be listed keep nobody from what was lost.
    await this.#attempt(() => this.lost.abortDue(connection.client, mayGoOn, { signal }));
    this.#isUnderWay = false;
    this.#lookForLost();
    round.slots.release(1);
  }

  #lookForLost(): void {
    const delayMs = this.lost.nextLookMs();
    if (delayMs !== null) this.#lookAfter(delayMs);
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const { bucket, targetId } = this.#ref;
      if (isLeaseLost(error)) this.#context.onLeaseLost();
      else
        this.#context.logger.error(
          { err: error, bucket: bucket.name, targetId },
          'unfinished uploads could not be aborted; it is tried again',
        );
    }
  }

  async #abortSome({ connection, mayGoOn, signal }: StrayRound): Promise<void> {
    const { tenure } = this.#context;
    const { client, place } = connection;
    const over: StrayUpload[] = [];
    for (const stray of await this.#nextOnes()) {
      if (!mayGoOn()) break;
      this.#after = stray;
      const { key, uploadId } = stray;
      const isHere = stray.place === place;
      if (isHere && !isGone(await client.abortMultipartUpload({ key, uploadId }, { signal })))
        break;
      over.push(stray);
    }
    if (over.length > 0) await tenure.forgetStrays(this.#ref, over);
  }

  async #nextOnes(): Promise<readonly StrayUpload[]> {
    const { outbox } = this.#context;
    const next = await outbox.strayUploads(this.#ref, this.#after, ROUND_MAX);
    if (next.length > 0 || this.#after === null) return next;
    this.#after = null;
    return outbox.strayUploads(this.#ref, null, ROUND_MAX);
  }
}
