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

export function runCases(
  theme: string,
  cases: readonly WildCase[],
  options: WildSiteOptions = {},
): void {
  const shared = options.isAlone === true ? null : new WildSite({ after }, options);
  describe(theme, { concurrency: 16 }, () => {
    for (const { name, hooks, options: sceneOptions, play } of cases) {
      it(name, { timeout: 90_000 }, async (t) => {
        const site = shared ?? new WildSite(t, options);
        await play(await site.open(t, hooks?.(), sceneOptions));
      });
    }
  });
}
