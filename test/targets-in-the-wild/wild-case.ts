/** Named behaviours of targets, run beside each other. */
import { after, describe, it } from 'node:test';
import type { TargetHooks } from '../support/fake-target/fake-target.ts';
import type { Scene, SceneOptions } from './scene.ts';
import { WildSite, type WildSiteOptions } from './wild-site.ts';

export interface WildCase {
  /** What the target does; with the report that it comes from, where there is one. */
  readonly name: string;
  /** Made anew for each run, so that it may count. */
  readonly hooks?: () => TargetHooks;
  readonly options?: SceneOptions;
  /** Writes, waits, and judges by what the target keeps. */
  readonly play: (scene: Scene) => Promise<void>;
}

/** How many cases run at a time: most of them wait. */
const CASES_AT_A_TIME = 16;
/** What hangs is ended, long after every wait of a case would have said why. */
const CASE_MAX_MS = 240_000;

/** @param themes tables by the name of their theme */
export function runThemes(
  themes: Readonly<Record<string, readonly WildCase[]>>,
  options: WildSiteOptions = {},
): void {
  const shared = options.isAlone === true ? null : new WildSite({ after }, options);
  describe(Object.keys(themes).join(', '), { concurrency: CASES_AT_A_TIME }, () => {
    for (const [theme, cases] of Object.entries(themes)) {
      for (const { name, hooks, options: sceneOptions, play } of cases) {
        it(`${theme}: ${name}`, { timeout: CASE_MAX_MS }, async (t) => {
          const site = shared ?? new WildSite(t, options);
          await play(await site.open(t, hooks?.(), sceneOptions));
        });
      }
    }
  });
}
