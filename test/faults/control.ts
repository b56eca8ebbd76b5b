/**
 * A second server of the same machine, whose disk does not fail: how long its requests take, at the same
 * time, tells how slow the machine is. What is allowed to a server whose disk came back grows with it, so
 * that no slow machine makes a verdict.
 */
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { startFakeTarget } from '../support/fake-target/fake-target.ts';
import { startSite, type Site } from '../support/replication-site.ts';
import { Load, systemClock } from './load.ts';

/** What docs/operations.md promises of a disk that came back, where requests take no time. */
const PROMISED_MS = 2_000;
/** Rounds of requests that a recovery may take on top, each as slow as the slowest of the control. */
const ROUNDS = 10;
const PAUSE_MS = 50;

export interface Timed {
  readonly tookMs: number | null;
  /** The slowest round of the control meanwhile. */
  readonly controlMs: number;
  readonly isInTime: boolean;
}

export class Control {
  readonly #site: Site;
  readonly #load: Load;
  readonly #cleanups: readonly (() => unknown)[];

  private constructor(site: Site, load: Load, cleanups: readonly (() => unknown)[]) {
    this.#site = site;
    this.#load = load;
    this.#cleanups = cleanups;
  }

  /** @param parent of its data directory, on a disk that does not fail */
  static async start(parent: string): Promise<Control> {
    const cleanups: (() => unknown)[] = [];
    const target = await startFakeTarget(
      { after: (cleanup) => cleanups.push(cleanup) },
      { clock: systemClock },
    );
    const dataDirectory = mkdtempSync(join(parent, 'control-'));
    const site = await startSite({
      dataDirectory,
      name: 'control',
      region: 'eu-test-1',
    });
    const load = new Load(site, target);
    await load.prepare();
    return new Control(site, load, cleanups);
  }

  /** Judges how long `work` says that it took; null where it says that it never ended. */
  async judge(work: () => Promise<number | null>): Promise<Timed> {
    let isOver = false;
    const working = work().finally(() => (isOver = true));
    working.catch(() => undefined);
    let controlMs = 0;
    do {
      controlMs = Math.max(controlMs, (await this.#load.waitUntilNormal()) ?? 0);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    } while (!isOver);
    const tookMs = await working;
    const isInTime = tookMs !== null && tookMs <= PROMISED_MS + ROUNDS * controlMs;
    return { tookMs, controlMs, isInTime };
  }

  async stop(): Promise<void> {
    await this.#site.process.kill();
    for (const cleanup of this.#cleanups) await cleanup();
  }
}
