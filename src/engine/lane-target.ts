/**
 * The target of one lane as it is configured now, the connection to it, and the lane's shares of what
 * is bounded for all.
 *
 * A target that is reached or signed for in another way gets a new connection. What runs on the old one
 * may take its time; nobody waits for it.
 */
import type { LaneRef } from '../model/row.ts';
import type { CurrentTarget } from './claim-runner.ts';
import { LaneConnection } from './lane-connection.ts';
import type { LaneContext, LaneShares } from './lane-context.ts';

export interface LaneTargetOptions {
  readonly ref: LaneRef;
  readonly context: Pick<LaneContext, 'outbox' | 'connectTarget' | 'logger' | 'joinShares'>;
  /** There is no such target. */
  readonly onAbsent: () => void;
  /** The target can be used, and is about to be; `isReplaced` where another connection is made. */
  readonly onUsable: (retryMark: number, isReplaced: boolean) => Promise<void>;
  /** A slot is kept for the lane. */
  readonly onFreeSlot: () => void;
}

export class LaneTarget {
  readonly #options: LaneTargetOptions;
  #connection: LaneConnection | null = null;
  #shares: LaneShares | null = null;
  #isPaused = false;

  constructor(options: LaneTargetOptions) {
    this.#options = options;
  }

  /** Whether it is disabled, or its secret does not open. */
  get isPaused(): boolean {
    return this.#isPaused;
  }

  isOn(connection: LaneConnection): boolean {
    return connection === this.#connection;
  }

  /** Reads the target, and connects where it can be used: null where it cannot. */
  async read(): Promise<CurrentTarget | null> {
    const { ref, context, onAbsent, onUsable, onFreeSlot } = this.#options;
    const access = await context.outbox.accessTarget(ref);
    this.#isPaused =
      access.kind === 'sealed' || (access.kind === 'usable' && !access.target.enabled);
    if (access.kind === 'absent') onAbsent();
    if (access.kind !== 'usable' || !access.target.enabled) {
      void this.#connection?.retire();
      this.#connection = null;
      return null;
    }
    const isReplaced = this.#connection?.fits(access) !== true;
    await onUsable(access.retryMark, isReplaced);
    if (isReplaced) {
      void this.#connection?.retire();
      const client = context.connectTarget(access, ref);
      this.#connection = new LaneConnection(client, access, context.logger);
    }
    this.#shares ??= await context.joinShares(ref, onFreeSlot);
    const connection = this.#connection;
    const shares = this.#shares;
    return connection === null || shares === null
      ? null
      : { ...shares, connection, rules: access.rules };
  }

  /** A slot that was kept for the lane and not taken goes to another one. */
  passSlot(): void {
    this.#shares?.slots.pass();
  }

  /** The lane takes no slot any longer. */
  leave(): void {
    this.#shares?.slots.leave();
  }

  async retire(): Promise<void> {
    await this.#connection?.retire();
  }
}
