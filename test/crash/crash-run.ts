/**
 * A server that is killed again and again, the server that it replicates to, and what a crash test
 * remembers of them: who got an answer, and which steps no process came to.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { S3Client } from '@aws-sdk/client-s3';
import { assertReplica, historyOf, openUploads } from '../support/replicas.ts';
import { replicate, startSite, type Site } from '../support/replication-site.ts';
import { connectS3, createVersionedBucket, forEachAtOnce, readObject } from '../support/s3-sdk.ts';
import { PROBE_PLUGIN } from '../support/server-process.ts';
import { describeStep, type Step } from '../support/steps.ts';
import { StoppableSite } from '../support/stoppable-site.ts';
import { until } from '../support/until.ts';
import { changes, etagOf, put, type Change } from './changes.ts';
import type { Scenario } from './scenarios.ts';

export class CrashRun {
  readonly source: StoppableSite;
  readonly #directory: string;
  #target: Site | null = null;
  #replica: S3Client | null = null;
  /** By bucket. */
  readonly #acknowledged = new Set<string>();
  readonly #missed = new Set<string>();

  constructor(name: string) {
    this.#directory = mkdtempSync(join(tmpdir(), `alarik-${name}-`));
    this.source = new StoppableSite(this.#directory);
  }

  get target(): Site {
    if (this.#target === null) throw new Error('The target was not started.');
    return this.#target;
  }

  get replica(): S3Client {
    if (this.#replica === null) throw new Error('The target was not started.');
    return this.#replica;
  }

  /** Starts both servers. */
  async start(): Promise<void> {
    this.#target = await startSite({
      dataDirectory: join(this.#directory, 'target'),
      name: 'target',
      region: 'eu-central-1',
      plugin: PROBE_PLUGIN,
    });
    this.#replica = connectS3(this.#target.account);
    await this.source.start();
  }

  async close(): Promise<void> {
    this.#replica?.destroy();
    await this.#target?.process.stop();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /** Each scenario's bucket at both ends, with what its key is before, delivered. */
  async setUp(scenarios: readonly Scenario[]): Promise<void> {
    await forEachAtOnce(scenarios, (scenario) => this.#setUp(scenario));
    await this.source.drained(scenarios.map(({ bucket }) => bucket));
  }

  /**
   * Makes each scenario's change until its first step, and kills the server there.
   *
   * @param others steps that were asked for already, and must be reached too
   */
  async change(scenarios: readonly Scenario[], others: readonly Step[] = []): Promise<void> {
    const steps = stepsOf(scenarios, 0);
    await this.source.stopAt(steps);
    // A write under a synchronous rule is answered after a while, also where its step takes longer.
    await this.source.stopTime();
    const answers = Promise.all(scenarios.map((scenario) => this.#change(scenario)));
    const expected = scenarios.filter(({ acknowledged }) => acknowledged);
    const areAnswered = (): boolean =>
      expected.every(({ bucket }) => this.#acknowledged.has(bucket));
    await until(areAnswered, 'all answers');
    await this.comeTo([...steps, ...others]);
    await this.source.kill();
    await answers;
    const late = scenarios.filter(({ change }) => definitionOf(change).replicaIsLate === true);
    for (const { bucket } of late) await createVersionedBucket(this.replica, bucket);
  }

  /** Waits for the steps, and remembers those that were waited for in vain. */
  async comeTo(steps: readonly Step[]): Promise<void> {
    for (const step of await this.source.missed(steps)) this.#missed.add(describeStep(step));
  }

  /** @throws AssertionError unless the change came to its steps and to what it should have */
  async assertArrived(scenario: Scenario): Promise<void> {
    const { bucket, change, happened, unknownUploads } = scenario;
    const { before, after, history } = definitionOf(change);
    for (const name of scenario.steps) {
      const step = describeStep({ bucket, name });
      assert(!this.#missed.has(step), `was not ${step}`);
    }
    assert.equal(this.#acknowledged.has(bucket), scenario.acknowledged, 'acknowledged');
    const current = await readObject(this.source.s3, bucket, keyOf(bucket));
    const expected = happened ? after : before;
    assert.equal(current?.body.toString(), expected?.toString(), 'what the source shows');
    await assertReplica(this.source.s3, this.replica, bucket);
    if (history !== undefined) {
      const earlier = before === null ? [] : [etagOf(before)];
      const whole = happened ? [...earlier, ...history] : earlier;
      assert.deepEqual(await historyOf(this.replica, bucket), whole, 'what the replica was sent');
    }
    const left = Array.from({ length: unknownUploads }, () => ({ key: keyOf(bucket), parts: 0 }));
    assert.deepEqual(await openUploads(this.replica, bucket), left, 'uploads that are left');
  }

  /** Stops the server, and finds nothing queued and tables that agree. */
  async assertNothingLeft(): Promise<void> {
    await this.source.stop(({ rows, intents, claims }) => {
      const counts = [rows, intents, claims].map((table) => [...table.keys()].length);
      assert.deepEqual(counts, [0, 0, 0], 'rows, intents and claims');
    });
  }

  async #setUp({ bucket, change }: Scenario): Promise<void> {
    const { before, replicaIsLate, rule } = definitionOf(change);
    const { s3, site } = this.source;
    await createVersionedBucket(s3, bucket);
    if (replicaIsLate !== true) await createVersionedBucket(this.replica, bucket);
    await replicate(site, this.target.account, bucket, {}, { replicateDeletes: true, ...rule });
    if (before !== null) await put({ s3, bucket, key: keyOf(bucket) }, before);
  }

  /** Resolves when there is an answer, or the process has died. */
  async #change({ bucket, change, steps }: Scenario): Promise<void> {
    const { s3 } = this.source;
    const reached = (): Promise<void> => this.source.reached({ bucket, name: steps[0]! });
    try {
      await definitionOf(change).make({ s3, bucket, key: keyOf(bucket), reached });
      this.#acknowledged.add(bucket);
    } catch {
      // What came of it is seen at the source after the restart.
    }
  }
}

/** The steps at which the n-th process is killed. */
export function stepsOf(scenarios: readonly Scenario[], life: number): Step[] {
  return scenarios.flatMap(({ bucket, steps }) => {
    const name = steps[life];
    return name === undefined ? [] : [{ bucket, name }];
  });
}

function definitionOf(name: Scenario['change']): Change {
  return changes[name];
}

function keyOf(bucket: string): string {
  return `${bucket}/key`;
}
