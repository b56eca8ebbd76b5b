/**
 * Liveness, watched while nobody writes: every row whose rule is enabled and whose target can be used
 * is tried within a second of being due, and a target that fails is probed within a second of when its
 * report says. In the end nothing is left that anybody could deliver.
 */
import type { Row } from '../../src/model/row.ts';
import { GOOD_SECRET } from './faulty-target.ts';
import type { World } from './simulated-process.ts';

const LOOK_INTERVAL_MS = 500;
/** How late a row may be tried, and the time between two looks. */
const LATE_MAX_MS = 1_000 + LOOK_INTERVAL_MS;
/** Claims, leases and announcements of dead processes are settled by then, and no target thinks any longer. */
const SETTLED_MS = 20 * 60_000;

export class QuietWatch {
  readonly #world: World;
  /** By sequence: since when it has been due, and with how many tries behind it. */
  readonly #due = new Map<number, { readonly since: number; readonly attempts: number }>();
  readonly #probeDue = new Map<string, number>();

  constructor(world: World) {
    this.#world = world;
  }

  async run(forMs: number): Promise<void> {
    const { clock } = this.#world;
    const end = clock.monotonicMs() + forMs;
    await clock.run(SETTLED_MS);
    while (clock.monotonicMs() < end) {
      await clock.run(LOOK_INTERVAL_MS);
      if (await this.#look()) break;
    }
    for (const { key, operation, attempts } of await this.#deliverable()) {
      this.#world.violations.push(
        `quiet: ${operation} ${key} is still queued after ${attempts} tries`,
      );
    }
  }

  /** True where nothing is left to wait for. */
  async #look(): Promise<boolean> {
    const rows = await this.#deliverable();
    await this.#lookAtProbes();
    const now = this.#world.clock.monotonicMs();
    const seen = new Set<number>();
    for (const { sequence, nextAttemptAt, attempts, key, operation } of rows) {
      if (nextAttemptAt > this.#world.clock.nowMs()) continue;
      seen.add(sequence);
      const known = this.#due.get(sequence);
      if (known?.attempts !== attempts) this.#due.set(sequence, { since: now, attempts });
      else if (now - known.since > LATE_MAX_MS) {
        this.#world.violations.push(`quiet: ${operation} ${key} has been due since ${known.since}`);
        return true;
      }
    }
    for (const sequence of this.#due.keys()) if (!seen.has(sequence)) this.#due.delete(sequence);
    return rows.length === 0;
  }

  /** Pending rows that nothing holds up but their own schedule and that of their lane. */
  async #deliverable(): Promise<readonly Row[]> {
    const { stores, host } = this.#world;
    const { configurations, outbox } = stores.owner;
    const { bucket } = host;
    const { rules, targets } = await configurations.read(bucket);
    const rows = await outbox.pageRows(bucket, { state: 'pending' }, null, 1_000);
    const reports = new Map(
      await Promise.all(
        targets.map(
          async ({ id }) => [id, await outbox.laneReport({ bucket, targetId: id })] as const,
        ),
      ),
    );
    const heads = new Map<string, Row>();
    for (const row of rows) {
      const { targetId } = row.lane;
      const target = targets.find(({ id, enabled }) => id === targetId && enabled);
      const isWanted = rules.some(
        ({ enabled, incarnation }) => enabled && row.ruleset.includes(incarnation),
      );
      const access = await outbox.accessTarget(row.lane);
      const isReachable =
        reports.get(targetId)?.breaker === 'closed' &&
        access.kind === 'usable' &&
        access.secretAccessKey === GOOD_SECRET;
      if (target === undefined || !isWanted || !isReachable) continue;
      const chain = `${targetId}/${row.key}`;
      const head = heads.get(chain);
      if (head === undefined || isBefore(row, head)) heads.set(chain, row);
    }
    return [...heads.values()];
  }

  async #lookAtProbes(): Promise<void> {
    const { stores, host, clock } = this.#world;
    const { outbox } = stores.owner;
    const { bucket } = host;
    const lanes = await outbox.lanes();
    for (const lane of lanes.filter(({ bucket: { id } }) => id === bucket.id)) {
      const { breaker, retryAt } = await outbox.laneReport(lane);
      const isDue = breaker === 'open' && retryAt !== null && retryAt < clock.nowMs();
      const due = await outbox.nextDueAt(lane);
      const hasWork = Math.min(due.put ?? Infinity, due.delete ?? Infinity) < clock.nowMs();
      const since = this.#probeDue.get(lane.targetId);
      if (!isDue || !hasWork) this.#probeDue.delete(lane.targetId);
      else if (since === undefined) this.#probeDue.set(lane.targetId, clock.monotonicMs());
      else if (clock.monotonicMs() - since > LATE_MAX_MS) {
        this.#world.violations.push(`quiet: ${lane.targetId} has not been probed since ${since}`);
        this.#probeDue.set(lane.targetId, Infinity);
      }
    }
  }
}

function isBefore(a: Row, b: Row): boolean {
  return a.order < b.order || (a.order === b.order && a.sequence < b.sequence);
}
