/**
 * The hooks of the host's write path. Buckets without rules pay for one look at the store's hint, and
 * wait for nothing.
 *
 * States of an announcement: announced (its intent is durable) → committed or abandoned, once. One
 * that its process does not live to finish is settled by the next leader (settlement.ts).
 */
import type { AnnouncedWrite, Announcement, CommittedWrite, Logger } from '../host.ts';
import { replicationError } from '../model/errors.ts';
import type { ConfigurationStore, WriteLog } from '../model/ports.ts';
import type { IntentId, QueuedRow } from '../model/queue.ts';
import { pause, type EngineClock } from './clock.ts';
import type { DiskState } from './engine-types.ts';

const STORE_RETRY_MS = 1_000;

export interface WritePathOptions {
  readonly outbox: WriteLog;
  readonly configurations: Pick<ConfigurationStore, 'mayReplicate' | 'mayReplicateNow'>;
  readonly diskState: () => DiskState;
  readonly clock: EngineClock;
  readonly logger: Logger;
  /** Rows of this process were committed. */
  readonly onEnqueued: (rows: readonly QueuedRow[]) => void;
  /** Waits for the rows of synchronous rules. */
  readonly waitFor: (rows: readonly QueuedRow[]) => Promise<void>;
}

export class WritePath {
  readonly #options: WritePathOptions;
  readonly #unreplicated: Promise<Announcement>;
  readonly #stop = new AbortController();

  constructor(options: WritePathOptions) {
    this.#options = options;
    this.#unreplicated = Promise.resolve({
      replicates: [],
      committed: (writes) => this.#commitUnannounced(writes),
      abandoned: () => Promise.resolve(),
    });
  }

  /**
   * Durable when it resolves.
   *
   * @throws ApiError InsufficientStorage or ServiceUnavailable, as a rejection
   */
  announce(writes: readonly AnnouncedWrite[]): Promise<Announcement> {
    const mayReplicate = writes.map((write) => this.#mayReplicate(write));
    return mayReplicate.includes(true) ? this.#announce(writes, mayReplicate) : this.#unreplicated;
  }

  /** Refuses new announcements; those that are open may still be finished. */
  close(): void {
    this.#stop.abort();
  }

  async #announce(
    all: readonly AnnouncedWrite[],
    mayReplicate: readonly boolean[],
  ): Promise<Announcement> {
    const { outbox, diskState } = this.#options;
    const writes = all.filter((_, index) => mayReplicate[index]);
    if (this.#stop.signal.aborted) throw replicationError('ServiceUnavailable');
    if (writes.some(({ operation }) => operation === 'put') && diskState() !== 'ok') {
      throw replicationError('InsufficientStorage');
    }
    const { intent, replicates } = await outbox.announce(writes);
    let announced = 0;
    return {
      replicates: mayReplicate.map((may) => may && replicates[announced++] === true),
      committed: (committed) => this.#commit(intent, committed),
      abandoned: () => this.#abandon(intent),
    };
  }

  async #commit(intent: IntentId, writes: readonly CommittedWrite[]): Promise<void> {
    const rows = await this.#commitDurably(intent, writes);
    if (rows.length === 0) return;
    this.#options.onEnqueued(rows);
    await this.#options.waitFor(rows);
  }

  /** A rule may have come between the look at the hint and the commit: its bucket replicates now. */
  #commitUnannounced(writes: readonly CommittedWrite[]): Promise<void> {
    const { configurations } = this.#options;
    const replicated = writes.filter(({ bucket }) => configurations.mayReplicateNow(bucket.name));
    return replicated.length === 0 ? Promise.resolve() : this.#announceLate(replicated);
  }

  async #announceLate(writes: readonly CommittedWrite[]): Promise<void> {
    const { outbox, logger } = this.#options;
    try {
      const { intent } = await outbox.announce(writes.map(unknownBefore));
      await this.#commit(intent, writes);
    } catch (error) {
      // The host has the object: there is nothing left to refuse.
      logger.error({ err: error }, 'a write could not be queued for a rule that is new');
    }
  }

  /**
   * The object is the host's already, so this cannot fail for its caller: what the store cannot do
   * now is repeated in the background, and settled after a restart at the latest.
   */
  async #commitDurably(
    intent: IntentId,
    writes: readonly CommittedWrite[],
  ): Promise<readonly QueuedRow[]> {
    const { outbox, logger } = this.#options;
    try {
      return await outbox.commit(intent, writes);
    } catch (error) {
      logger.error({ err: error }, 'a committed write could not be queued; it is tried again');
      void this.#commitLater(intent, writes);
      return [];
    }
  }

  async #commitLater(intent: IntentId, writes: readonly CommittedWrite[]): Promise<void> {
    const { outbox, clock, logger, onEnqueued } = this.#options;
    for (;;) {
      await pause(clock, STORE_RETRY_MS, this.#stop.signal);
      if (this.#stop.signal.aborted) return;
      try {
        onEnqueued(await outbox.commit(intent, writes));
        return;
      } catch (error) {
        logger.error({ err: error }, 'a committed write could not be queued; it is tried again');
      }
    }
  }

  async #abandon(intent: IntentId): Promise<void> {
    try {
      await this.#options.outbox.abandon(intent);
    } catch (error) {
      // An intent that stays is settled after a restart, and found to have changed nothing.
      this.#options.logger.warn({ err: error }, 'an abandoned write could not be forgotten');
    }
  }

  #mayReplicate({ bucket }: Pick<AnnouncedWrite, 'bucket'>): boolean {
    return this.#options.configurations.mayReplicate(bucket.name);
  }
}

/** Where the process dies before the commit, whatever is current then counts as changed, if anything is. */
function unknownBefore({ bucket, key, operation }: CommittedWrite): AnnouncedWrite {
  return { bucket, key, operation, before: null };
}
