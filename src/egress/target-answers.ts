/**
 * The last addresses that each target's name had, for the time in which name servers do not answer.
 *
 * They are kept by target, not by name in one cache that everybody's saves and targets fill: nobody can
 * push out what a healthy target of somebody else needs. An owner's own targets can, beyond
 * `ownerTargetsMax`. A kept answer opens nothing: each connection classifies its addresses again.
 *
 * States of a target: unknown → known (stands in for an answer that is late by `patienceMs`, or for which
 * there is no place) → unknown (an hour old, the name no longer resolves, or the target has another).
 */
import { RESOLVE_PATIENCE_MS, type Resolution, type ResolverClock } from './resolver.ts';

export interface TargetAnswersOptions {
  readonly resolver: { resolve(hostname: string, ownerId: string): Promise<Resolution> };
  readonly clock: ResolverClock;
  /** How old an answer may be that stands in for one that is late. */
  readonly earlierMs?: number;
  /** How long a connection waits that has an earlier answer. */
  readonly patienceMs?: number;
  /** How many targets of one owner are remembered. */
  readonly ownerTargetsMax?: number;
}

/** Which target asks: its id is unique within its bucket. */
export interface AskingTarget {
  readonly bucketId: string;
  readonly targetId: string;
  readonly ownerId: string;
}

interface Answer {
  readonly hostname: string;
  readonly ownerId: string;
  readonly resolution: Resolution;
  readonly answeredAtMs: number;
}

export class TargetAnswers {
  readonly #options: Required<TargetAnswersOptions>;
  /** By bucket id and target id, from the oldest answer to the newest. */
  readonly #answers = new Map<string, Answer>();
  /** The same keys by owner, in the same order. */
  readonly #ofOwner = new Map<string, Set<string>>();

  constructor(options: TargetAnswersOptions) {
    this.#options = {
      earlierMs: 60 * 60 * 1_000,
      patienceMs: RESOLVE_PATIENCE_MS,
      ownerTargetsMax: 1_000,
      ...options,
    };
  }

  /** Never rejects. Takes as long as the resolver, or `patienceMs` where there is an earlier answer. */
  async resolve(hostname: string, target: AskingTarget): Promise<Resolution> {
    this.#forgetOld();
    const key = `${target.bucketId}\n${target.targetId}`;
    const found = this.#answers.get(key);
    const earlier = found?.hostname === hostname ? found.resolution : null;
    const answer = this.#options.resolver
      .resolve(hostname, target.ownerId)
      .then((resolution) => this.#note(key, hostname, target.ownerId, resolution));
    return earlier === null ? answer : this.#atMost(answer, earlier);
  }

  /** The answer, or the earlier one where that one is late. */
  async #atMost(answer: Promise<Resolution>, earlier: Resolution): Promise<Resolution> {
    let cancel = (): void => undefined;
    const late = new Promise<Resolution>((resolve) => {
      cancel = this.#options.clock.after(this.#options.patienceMs, () => resolve(earlier));
    });
    const resolution = await Promise.race([answer, late]);
    cancel();
    return resolution === 'unanswered' ? earlier : resolution;
  }

  #note(key: string, hostname: string, ownerId: string, resolution: Resolution): Resolution {
    if (resolution === 'unanswered') return resolution;
    this.#forget(key);
    if (resolution === 'unresolved') return resolution;
    const own = this.#ofOwner.get(ownerId) ?? new Set<string>();
    this.#ofOwner.set(ownerId, own);
    const [oldest] = own;
    if (oldest !== undefined && own.size >= this.#options.ownerTargetsMax) this.#forget(oldest);
    // The owner's set leaves with its last key.
    this.#ofOwner.set(ownerId, own.add(key));
    const answeredAtMs = this.#options.clock.nowMs();
    this.#answers.set(key, { hostname, ownerId, resolution, answeredAtMs });
    return resolution;
  }

  #forget(key: string): void {
    const answer = this.#answers.get(key);
    if (answer === undefined) return;
    this.#answers.delete(key);
    const own = this.#ofOwner.get(answer.ownerId);
    own?.delete(key);
    if (own?.size === 0) this.#ofOwner.delete(answer.ownerId);
  }

  #forgetOld(): void {
    const newestForgotten = this.#options.clock.nowMs() - this.#options.earlierMs;
    for (const [key, { answeredAtMs }] of this.#answers) {
      if (answeredAtMs > newestForgotten) return;
      this.#forget(key);
    }
  }
}
