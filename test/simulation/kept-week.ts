/**
 * A week in which the machine is off: rows that failed are kept for seven days after they failed, and not
 * a moment less, while nobody retries them and nothing else is written.
 */
import type { Row } from '../../src/model/row.ts';
import type { World } from './simulated-process.ts';

const HOUR_MS = 3_600_000;
/** As docs/replication.md says. */
const KEPT_MS = 7 * 24 * HOUR_MS;
/** Eight tries of a refused row take no longer. */
const FAILED_WITHIN_MS = 12 * HOUR_MS;
/** For so long after a start nothing expires; an upkeep more. */
const LOOKED_AT_WITHIN_MS = HOUR_MS + 120_000;

export class KeptWeek {
  readonly #world: World;
  #failed: readonly Row[] = [];

  constructor(world: World) {
    this.#world = world;
  }

  /** Every object is refused for as long as it takes for rows to fail. */
  async failSome(): Promise<void> {
    const { clock, targets } = this.#world;
    targets.refusesObjects = true;
    for (let passedMs = 0; passedMs < FAILED_WITHIN_MS; passedMs += HOUR_MS) {
      await clock.run(HOUR_MS);
      this.#failed = await this.#listFailed();
      if (this.#failed.length > 0) break;
    }
  }

  /** The processes are dead; how long until the rows would be gone is drawn. */
  async sleep(shortOfMs: number): Promise<void> {
    this.#failed = await this.#listFailed();
    await this.#world.clock.run(KEPT_MS - shortOfMs);
  }

  /** A process has started. */
  async look(): Promise<void> {
    const { clock, targets, violations } = this.#world;
    await clock.run(LOOKED_AT_WITHIN_MS);
    const kept = new Set((await this.#listFailed()).map(({ sequence }) => sequence));
    for (const row of this.#failed) {
      const keptMs = clock.nowMs() - (row.failedAt ?? 0);
      if (keptMs < KEPT_MS && !kept.has(row.sequence)) {
        violations.push(`${row.key} failed ${keptMs} ms ago, and its row is gone`);
      }
    }
    targets.refusesObjects = false;
  }

  /** Incarnations of rules some of whose rows may have expired by now. */
  expired(): ReadonlySet<number> {
    const now = this.#world.clock.nowMs();
    const old = this.#failed.filter(({ failedAt }) => now - (failedAt ?? 0) >= KEPT_MS);
    return new Set(old.flatMap(({ ruleset }) => ruleset));
  }

  #listFailed(): Promise<readonly Row[]> {
    const { stores, host } = this.#world;
    return stores.owner.outbox.pageRows(host.bucket, { state: 'failed' }, null, 100);
  }
}
