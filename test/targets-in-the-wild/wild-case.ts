/** Named behaviours of targets, run beside each other. */
import { describe, it } from 'node:test';
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
  const site = new WildSite(options);
  describe(theme, { concurrency: 8 }, () => {
    for (const { name, hooks, options: sceneOptions, play } of cases) {
      it(name, { timeout: 90_000 }, async (t) => {
        await play(await site.open(t, hooks?.(), sceneOptions));
      });
    }
  });
}
