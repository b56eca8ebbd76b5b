/** Writes of clients, as the storage server does them: announced, committed, and told, or not. */
import type { Random } from './random.ts';
import type { Rarities } from './rarities.ts';
import type { Change } from './simulated-host.ts';
import type { SimulatedProcess, World } from './simulated-process.ts';

export class SimulatedWrites {
  readonly #world: World;
  readonly #random: Random;
  readonly #rarities: Rarities;

  constructor(world: World, random: Random, rarities: Rarities) {
    this.#world = world;
    this.#random = random;
    this.#rarities = rarities;
  }

  async write(process: SimulatedProcess, key: string, change: Change): Promise<void> {
    const { host, clock, violations } = this.#world;
    const { bucket } = host;
    const announcedAt = clock.monotonicMs();
    const head = host.current(key);
    const shown = head === null || head.deleteMarker ? null : head;
    const operation = change === 'delete' || change === 'remove-version' ? 'delete' : 'put';
    try {
      const announcement = await process.engine.announce([
        {
          bucket,
          key,
          operation,
          before: shown === null ? null : { versionId: shown.versionId, order: shown.order },
        },
      ]);
      await clock.sleep(this.#random.between(0, 30));
      if (!process.isAlive) return;
      const isAbandoned = this.#random.chance(0.08) || host.bucket.id !== bucket.id;
      if (isAbandoned) return await announcement.abandoned();
      const wholeParts = change === 'put' ? this.#rarities.drawWholeParts() : 0;
      const before = head?.versionId ?? null;
      const committed = host.apply(key, change, announcedAt, before, wholeParts);
      // Hooks of one key may come in another order than its commits.
      await clock.sleep(this.#random.pick([0, 1, 30, 2_000]));
      if (!process.isAlive) return;
      await announcement.committed(committed === null ? [] : [committed]);
    } catch (error) {
      if ((error as { code?: string }).code !== 'ServiceUnavailable') {
        violations.push(`a write was refused: ${String(error)}`);
      }
    }
  }
}
