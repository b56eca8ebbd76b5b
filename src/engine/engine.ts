/**
 * The replication engine, composed: write path, leadership, and the term of the leader with its
 * lanes, settlement, resyncs and upkeep.
 *
 *     created ──start──▶ started (standby or leading, leadership.ts) ──close──▶ closing ──▶ closed
 *
 * Every process announces and commits, also before `start`; only the leader delivers. Closing lets
 * what is in flight end for a while, then ends it and gives the claims back; writes that wait for a
 * synchronous rule are let go at once. Nothing is lost: what is not delivered is in the store.
 */
import type { AnnouncedWrite, Announcement } from '../host.ts';
import type { Tenure } from '../model/ports.ts';
import type { ClaimOutcome } from '../model/queue.ts';
import type { Row } from '../model/row.ts';
import { ANYWHERE, type Work } from '../model/work.ts';
import type { EngineCounters, EngineOptions } from './engine-types.ts';
import { BODY_BYTES_MAX, BodyMemory } from './body-memory.ts';
import { Leadership } from './leadership.ts';
import { SynchronousWrites } from './synchronous-writes.ts';
import { Term } from './term.ts';
import { WritePath } from './write-path.ts';

export type { DiskState, EngineCounters, EngineOptions, UsableTarget } from './engine-types.ts';

/** How long closing takes at most where nobody says otherwise. */
const CLOSE_LIMIT_MS = 8_000;
/** What is left of it for giving claims back and for the end of upkeep, two seconds each. */
const CLOSE_RESERVE_MS = 4_000;

type State = 'created' | 'started' | 'closing' | 'closed';

export class Engine {
  readonly #options: EngineOptions;
  readonly #leadership: Leadership;
  readonly #synchronous: SynchronousWrites;
  readonly #writePath: WritePath;
  readonly #memory: BodyMemory;
  #state: State = 'created';
  #term: Term | null = null;
  #unsubscribe: (() => void) | null = null;
  #closed: Promise<void> | null = null;
  #transfersEndMs = 0;
  #deliveries = 0;
  #deliveredBytes = 0;
  #failures = 0;
  #uploadsLeft = 0;

  constructor(options: EngineOptions) {
    this.#options = options;
    const { outbox, configurations, clock, host, diskState } = options;
    const { logger } = host;
    this.#memory = new BodyMemory(options.bodyBytesMax ?? BODY_BYTES_MAX);
    this.#leadership = new Leadership({
      outbox,
      clock,
      logger,
      onGained: (tenure) => this.#beginTerm(tenure),
      onLost: (isClosing) => this.#endTerm(isClosing),
    });
    this.#synchronous = new SynchronousWrites({
      outbox,
      clock,
      isLeading: () => this.leading,
      isPrompt: (row) => this.#term?.lanes.find(row.lane)?.isPrompt(row) ?? true,
    });
    this.#writePath = new WritePath({
      outbox,
      configurations,
      clock,
      diskState,
      logger,
      onEnqueued: (rows) => rows.forEach(({ lane }) => this.#term?.notify(lane)),
      waitFor: (rows) => this.#synchronous.wait(rows),
    });
  }

  /** Starts to compete for the lease and, once it is held, to deliver. Returns at once. */
  start(): void {
    if (!this.#enter('started')) return;
    this.#unsubscribe = this.#options.outbox.subscribe((work) => this.wake(work));
    this.#leadership.start();
  }

  /** The host's hook. @throws ApiError InsufficientStorage or ServiceUnavailable, as a rejection */
  announce(writes: readonly AnnouncedWrite[]): Promise<Announcement> {
    return this.#writePath.announce(writes);
  }

  /** Looks for work and for changed configurations soon; the outbox's `subscribe` calls it too. */
  wake(work: Work = ANYWHERE): void {
    this.#term?.wake(work);
  }

  /** Whether this process holds the lease, as far as it knows. */
  get leading(): boolean {
    return this.#term !== null;
  }

  counters(): EngineCounters {
    return {
      deliveries: this.#deliveries,
      deliveredBytes: this.#deliveredBytes,
      failures: this.#failures,
      uploadsLeft: this.#uploadsLeft,
      bodyBytes: this.#memory.held,
      ...(this.#term?.lanes.tally ?? { openBreakers: 0, inFlight: 0 }),
    };
  }

  /**
   * Waits for transfers in flight, gives claims back, releases waiting writes. Idempotent.
   *
   * @param limitMs the most that all of it takes; transfers have the time before the last 4 s
   */
  close(limitMs = CLOSE_LIMIT_MS): Promise<void> {
    if (this.#closed === null) {
      this.#transfersEndMs = Math.max(0, limitMs - CLOSE_RESERVE_MS);
      this.#closed = this.#close();
    }
    return this.#closed;
  }

  async #close(): Promise<void> {
    const wasStarted = this.#state === 'started';
    this.#enter('closing');
    this.#writePath.close();
    this.#synchronous.close();
    this.#unsubscribe?.();
    if (wasStarted) await this.#leadership.stop();
    this.#enter('closed');
  }

  /** The one gate for changes of state; false where the change is not one of the diagram. */
  #enter(state: State): boolean {
    const before = {
      created: [],
      started: ['created'],
      closing: ['created', 'started'],
      closed: ['closing'],
    };
    if (!(before[state] as readonly State[]).includes(this.#state)) return false;
    this.#state = state;
    return true;
  }

  #beginTerm(tenure: Tenure): void {
    this.#term = new Term({
      ...this.#options,
      tenure,
      memory: this.#memory,
      onOutcome: (row, outcome, bytes) => this.#note(row, outcome, bytes),
      onUploadLeft: () => (this.#uploadsLeft += 1),
      onLeaseLost: () => this.#leadership.lost(tenure),
    });
    this.#term.start();
  }

  async #endTerm(isClosing: boolean): Promise<void> {
    const term = this.#term;
    this.#term = null;
    await term?.stop(isClosing ? this.#transfersEndMs : 0);
  }

  #note(row: Row, outcome: ClaimOutcome, bytes: number): void {
    if (outcome.kind === 'complete') {
      this.#deliveries += 1;
      this.#deliveredBytes += bytes;
    }
    if (outcome.kind === 'retry' || outcome.kind === 'fail') this.#failures += 1;
    this.#synchronous.settled(row, outcome);
  }
}
