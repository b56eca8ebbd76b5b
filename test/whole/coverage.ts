/** Counts what random runs brought about: one whose requests are all refused would agree with any model. */
import assert from 'node:assert/strict';
import { MASK } from '../support/replication-bodies.ts';
import type { ModelRequest, ModelState } from './configuration-model.ts';

export class Coverage {
  readonly #counts = new Map<string, number>();

  count(what: string): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1);
  }

  /** Counts the cases that the specification makes much of, where `request` turned `before` into `after`. */
  countChange(before: ModelState, request: ModelRequest, after: ModelState): void {
    if (before === null || after === null || request.kind !== 'putTargets') return;
    if (after.tag === before.tag) return;
    if (before.rules.some((rule, index) => rule.enabled && !after.rules[index]!.enabled)) {
      this.count('rule disabled with its target');
    }
    if (request.list.some((target) => target['secretAccessKey'] === MASK)) {
      this.count('secret kept by the mask');
    }
  }

  assertSeen(wanted: readonly string[]): void {
    assert.deepEqual(
      wanted.filter((what) => !this.#counts.has(what)),
      [],
    );
  }

  lines(): string[] {
    return [...this.#counts].map(([what, count]) => `${what}: ${count}`).sort();
  }
}
