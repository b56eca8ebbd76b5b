/**
 * One bucket and its target, and what cases do and ask: write and remove objects, compare what the
 * target keeps with what the bucket holds, byte for byte, and read what status, tasks and headers say.
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bucket, ObjectHead, ReplicationStatus } from '../../src/host.ts';
import type { FakeTarget } from '../support/fake-target/fake-target.ts';
import type { FasterClock } from '../support/faster-clock.ts';
import type { Answer, KoaHost, LogLine } from '../support/koa-host.ts';
import type { ObjectShelf } from '../support/object-shelf.ts';
import {
  ruleBody,
  targetBody,
  type RuleFields,
  type TargetFields,
} from '../support/replication-bodies.ts';

const POLL_MIN_MS = 5;
const POLL_MAX_MS = 80;
const SECRET = 'a-secret-of-the-tests';

/** On a busy machine a hundredth of a second is a second here; what these bounds are for took hours. */
const BUSY_FACTOR = 5;

export interface SceneOptions {
  readonly target?: Partial<TargetFields>;
  readonly rule?: Partial<RuleFields>;
}

export interface SceneStatus {
  readonly queued: number;
  readonly verifying: number;
  readonly failed: number;
  readonly oldestAgeSeconds: number | null;
  readonly state: string;
  readonly retryAt: string | null;
  readonly lastError: string | null;
  readonly degraded: readonly string[];
  /** Of the rule. */
  readonly gapSince: string | null;
}

export interface SceneTask {
  readonly id: string;
  readonly key: string;
  readonly operation: 'put' | 'delete';
  readonly state: string;
  readonly attempts: number;
  readonly lastError: string | null;
}

interface SceneParts {
  readonly host: KoaHost;
  readonly clock: FasterClock;
  readonly shelf: ObjectShelf;
  readonly bucket: Bucket;
  readonly token: string;
  readonly target: FakeTarget;
  /** By the engine's time: how long to wait for one thing. */
  readonly patienceMs: number;
}

export class Scene {
  readonly target: FakeTarget;
  readonly clock: FasterClock;
  readonly #parts: SceneParts;
  /** What the bucket holds now; null for what was removed. */
  readonly #bodies = new Map<string, Buffer | null>();
  #saved: TargetFields = targetBody();

  constructor(parts: SceneParts) {
    this.#parts = parts;
    this.target = parts.target;
    this.clock = parts.clock;
  }

  get secret(): string {
    return SECRET;
  }

  async configure({ target = {}, rule = {} }: SceneOptions): Promise<void> {
    await this.saveTarget({ endpoint: this.target.url, secretAccessKey: SECRET, ...target });
    const answer = await this.#request('PUT', 'rules', {
      rules: [ruleBody({ targetId: this.#saved.id, ...rule })],
    });
    assert.equal(answer.status, 200, answer.text);
  }

  /** Saves the target with these fields changed. */
  async saveTarget(fields: Partial<TargetFields>): Promise<void> {
    this.#saved = { ...this.#saved, ...fields };
    const answer = await this.#request('PUT', 'targets', { targets: [this.#saved] });
    assert.equal(answer.status, 200, answer.text);
    const { targets } = answer.json as { readonly targets: readonly TargetFields[] };
    this.#saved = { ...this.#saved, id: targets[0]!.id };
  }

  /** The target does everything as S3 does, from now on. */
  heal(): void {
    this.target.hooks = {};
  }

  async put(key: string, body: Buffer | string, fields: Partial<ObjectHead> = {}): Promise<void> {
    const { host, shelf, bucket } = this.#parts;
    this.#bodies.set(key, Buffer.from(body));
    await shelf.write(host.plugin, bucket, key, body, fields);
  }

  /** `n` small objects at once: `<name>-0` with a body of its own, and so on. */
  async putMany(n: number, name = 'object'): Promise<readonly string[]> {
    const keys = Array.from({ length: n }, (_, index) => `${name}-${index}`);
    await Promise.all(keys.map((key) => this.put(key, `the body of ${key}`)));
    return keys;
  }

  async remove(key: string): Promise<void> {
    const { host, shelf, bucket } = this.#parts;
    this.#bodies.set(key, null);
    await shelf.write(host.plugin, bucket, key, null);
  }

  /** Whether the target keeps exactly what the bucket holds under the key. */
  hasArrived(key: string): boolean {
    const body = this.#bodies.get(key);
    const far = this.target.objects.get(key);
    return body === null || body === undefined
      ? far === undefined
      : far?.body.equals(body) === true;
  }

  /** Waits until the target keeps what the bucket holds under these keys, or under all. */
  async arrived(
    keys: readonly string[] = [...this.#bodies.keys()],
    withinS?: number,
  ): Promise<void> {
    const begunAt = this.clock.monotonicMs();
    await this.until(
      () => keys.every((key) => this.hasArrived(key)),
      () =>
        `${keys.filter((key) => !this.hasArrived(key)).length} of ${keys.length} keys to arrive`,
    );
    if (withinS === undefined) return;
    const tookS = Math.round((this.clock.monotonicMs() - begunAt) / 1_000);
    const allowedS = withinS * BUSY_FACTOR;
    assert.ok(tookS <= allowedS, `took ${tookS} s of the engine's time; ${allowedS} are allowed`);
  }

  /** Waits until nothing is queued or to be verified. */
  async settled(): Promise<void> {
    let seen: SceneStatus | undefined;
    await this.until(
      async () => {
        seen = await this.status();
        return seen.queued === 0 && seen.verifying === 0;
      },
      () => `the queue to end (${JSON.stringify(seen)})`,
    );
  }

  /** Everything is at the target, and everything that can be read says so. */
  async converged(withinS?: number): Promise<void> {
    await this.arrived(undefined, withinS);
    await this.settled();
    await this.arrived();
    const { failed, gapSince } = await this.status();
    assert.deepEqual({ failed, gapSince }, { failed: 0, gapSince: null });
    for (const [key, body] of this.#bodies) {
      if (body !== null) assert.equal(await this.header(key), 'COMPLETED', key);
    }
  }

  async status(): Promise<SceneStatus> {
    const answer = await this.#request('GET', 'status');
    assert.equal(answer.status, 200, answer.text);
    const { targets, rules } = answer.json as {
      readonly targets: readonly (Omit<SceneStatus, 'gapSince' | 'verifying'> & {
        readonly verifying?: number;
      })[];
      readonly rules: readonly Pick<SceneStatus, 'gapSince'>[];
    };
    return { ...targets[0]!, verifying: targets[0]!.verifying ?? 0, gapSince: rules[0]!.gapSince };
  }

  async shows(what: string, condition: (status: SceneStatus) => boolean): Promise<SceneStatus> {
    let seen: SceneStatus | undefined;
    return this.until(
      async () => {
        seen = await this.status();
        return condition(seen) && seen;
      },
      () => `the status to show ${what} (${JSON.stringify(seen)})`,
    );
  }

  showsError(sentence: RegExp): Promise<SceneStatus> {
    return this.shows(String(sentence), ({ lastError }) => sentence.test(String(lastError)));
  }

  async tasks(state?: string): Promise<readonly SceneTask[]> {
    const query = state === undefined ? '' : `?state=${state}`;
    const answer = await this.#request('GET', `tasks${query}`);
    assert.equal(answer.status, 200, answer.text);
    return (answer.json as { readonly tasks: readonly SceneTask[] }).tasks;
  }

  async retryAll(state: 'pending' | 'failed'): Promise<void> {
    const answer = await this.#request('POST', `tasks/retry?state=${state}`);
    assert.equal(answer.status, 200, answer.text);
  }

  /** Begins a resync of the bucket's rule. */
  async resync(): Promise<void> {
    const saved = await this.#request('GET', 'rules');
    const [rule] = (saved.json as { readonly rules: readonly { readonly id: string }[] }).rules;
    const begun = await this.#request('POST', `rules/${rule!.id}/resync`);
    assert.equal(begun.status, 202, begun.text);
  }

  /** The replication status header of the key's current version. */
  async header(key: string): Promise<ReplicationStatus | undefined> {
    const { host, shelf, bucket } = this.#parts;
    const current = await shelf.headCurrent(bucket, key);
    const versionId = current?.versionId ?? '';
    return host.plugin.replicationStatus?.({ bucket, key, versionId });
  }

  /** Lines of this bucket at the levels of trouble. */
  warnings(): readonly LogLine[] {
    const { host, bucket } = this.#parts;
    return host.logs.filter(
      ({ level, bucket: name }) => level !== 'info' && level !== 'debug' && name === bucket.name,
    );
  }

  /** Lets so much of the engine's time go by, in which nothing is written. */
  passSeconds(seconds: number): Promise<void> {
    return this.clock.pass(seconds * 1_000);
  }

  /** Polls less and less often: many cases wait beside each other, and each look costs. */
  async until<T>(
    condition: () => T | Promise<T>,
    what: () => string,
  ): Promise<Exclude<NonNullable<T>, false>> {
    const deadline = this.clock.monotonicMs() + this.#parts.patienceMs;
    for (let pauseMs = POLL_MIN_MS; ; pauseMs = Math.min(2 * pauseMs, POLL_MAX_MS)) {
      const result = await condition();
      if (result) return result as Exclude<NonNullable<T>, false>;
      if (this.clock.monotonicMs() > deadline) throw new Error(`Waited in vain for ${what()}.`);
      await sleep(pauseMs);
    }
  }

  #request(method: string, path: string, body?: unknown): Promise<Answer> {
    const { host, bucket, token } = this.#parts;
    return host.request(method, `/api/v1/buckets/${bucket.name}/replication/${path}`, {
      token,
      ...(body === undefined ? {} : { body }),
    });
  }
}
