/**
 * The whole plugin on a tiny host whose engine lives a hundred times as fast: real sockets, a real
 * store, and every timeout and wait at a hundredth. Each case has a bucket, an owner and a target of
 * its own, so that cases run beside each other.
 */
import { startFakeTarget, type TargetHooks } from '../support/fake-target/fake-target.ts';
import { fasterClock, realClock, type FasterClock } from '../support/faster-clock.ts';
import { startKoaHost, type KoaHost } from '../support/koa-host.ts';
import { ObjectShelf } from '../support/object-shelf.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { Scene, type SceneOptions } from './scene.ts';

const FACTOR = 100;
const PATIENCE_MS = 60_000;
interface Cleanup {
  after(cleanup: () => void | Promise<void>): void;
}

export interface WildSiteOptions {
  /** How many of the engine's milliseconds pass in a real one; at 1 the plugin takes its own clock. */
  readonly factor?: number;
  /** Real milliseconds that a case waits for one thing on a machine that has nothing else to do. */
  readonly patienceMs?: number;
  /** Each case has a site of its own, in which nobody else writes anything. */
  readonly isAlone?: boolean;
}

export class WildSite {
  readonly clock: FasterClock;
  readonly shelf = new ObjectShelf();
  readonly #starting: Promise<KoaHost>;
  readonly #isAlone: boolean;
  /** By the faster clock, which a busy machine slows down. */
  readonly #patienceMs: number;
  #scenes = 0;

  /** Starts at once, and ends when `t` does. */
  constructor(
    t: Cleanup,
    { factor = FACTOR, patienceMs = PATIENCE_MS, isAlone = false }: WildSiteOptions = {},
  ) {
    this.clock = factor === 1 ? realClock() : fasterClock(factor);
    this.#patienceMs = patienceMs * factor;
    this.#starting = startKoaHost({
      dataDirectory: temporaryDirectory(t),
      objects: this.shelf,
      system: {
        ...(factor === 1 ? {} : { clock: this.clock }),
        lookup: () => Promise.reject(new Error('No DNS in tests.')),
      },
    });
    t.after(async () => (await this.#starting).close());
    this.#isAlone = isAlone;
  }

  /** A bucket that replicates to a target of its own; both are gone when the test ends. */
  async open(t: Cleanup, hooks: TargetHooks = {}, options: SceneOptions = {}): Promise<Scene> {
    const host = await this.#starting;
    this.#scenes += 1;
    const name = `bucket-${this.#scenes}`;
    const token = `token-${this.#scenes}`;
    host.principals.set(`Bearer ${token}`, { userId: name, isAdmin: true });
    const bucket = host.addBucket(name, name);
    const target = await startFakeTarget(t, { clock: this.clock, hooks });
    if (!this.#isAlone)
      t.after(async () => {
        host.buckets.delete(name);
        await host.plugin.bucketDeleted?.(bucket);
      });
    const { clock, shelf } = this;
    const scene = new Scene({
      host,
      clock,
      shelf,
      bucket,
      token,
      target,
      patienceMs: this.#patienceMs,
    });
    await scene.configure(options);
    return scene;
  }
}
