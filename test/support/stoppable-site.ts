/**
 * A site on one data directory and the processes that live there one after the other, each with the
 * plugin that stops at steps (stopping-plugin.ts): what crash tests hold on to.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { S3Client } from '@aws-sdk/client-s3';
import type { TaskAnswer } from '../../src/model/task.ts';
import { openTables, type Tables } from '../../src/store/tables.ts';
import { assertTablesAgree } from './outbox-tables.ts';
import { writePlugin } from './plugin-folder.ts';
import { admin, startSite, type Site } from './replication-site.ts';
import { connectS3 } from './s3-sdk.ts';
import { describeStep, STEPS_PATH, STEPS_VARIABLE, TIME_PATH, type Step } from './steps.ts';
import { until } from './until.ts';

/** Longer than a late request is waited for (LINGER_MS of model/delivery.ts). */
const LEAP_MS = 61_000;
/** A look that a kill interrupted, or that comes soon after a start, is followed by another one. */
const LEAPS_MAX = 3;
/** Writes that are stopped keep their connections. */
const CONNECTIONS_MAX = 256;

export class StoppableSite {
  readonly #directory: string;
  readonly #plugin: string;
  #site: Site | null = null;
  #s3: S3Client | null = null;
  #leptMs = 0;

  constructor(directory: string) {
    this.#directory = directory;
    const module = new URL('./stopping-plugin.ts', import.meta.url);
    this.#plugin = writePlugin(join(directory, 'plugin'), { module });
  }

  get site(): Site {
    if (this.#site === null) throw new Error('No process was started.');
    return this.#site;
  }

  get s3(): S3Client {
    if (this.#s3 === null) throw new Error('No process was started.');
    return this.#s3;
  }

  /** @param steps to stop at from the first moment on */
  async start(steps: readonly Step[] = []): Promise<void> {
    this.#site = await startSite({
      dataDirectory: this.#data,
      name: 'source',
      region: 'eu-north-1',
      plugin: this.#plugin,
      // Of the module of the tests, and what of src/ it reaches into.
      nodeOptions: ['--import', 'tsx'],
      environment: { [STEPS_VARIABLE]: JSON.stringify(steps) },
    });
    this.#s3 = connectS3(this.#site.account, CONNECTIONS_MAX);
    this.#leptMs = 0;
  }

  async stopAt(steps: readonly Step[]): Promise<void> {
    await this.#tell('PUT', STEPS_PATH, steps);
  }

  /** Until the end of the process no time passes for those who wait, however slow the machine is. */
  async stopTime(): Promise<void> {
    await this.#tell('PUT', TIME_PATH, {});
  }

  isAt(step: Step): boolean {
    return this.site.process.stderr().includes(describeStep(step));
  }

  async reached(step: Step): Promise<void> {
    await until(() => this.isAt(step), describeStep(step));
  }

  /** Waits for the steps, and returns those that the process did not come to in a long time. */
  async missed(steps: readonly Step[]): Promise<readonly Step[]> {
    const missing = (): readonly Step[] => steps.filter((step) => !this.isAt(step));
    try {
      await until(() => missing().length === 0, 'all steps');
    } catch {
      // Which they are says more than how many were waited for.
    }
    return missing();
  }

  /** SIGKILL, wherever the process is. */
  async kill(): Promise<void> {
    const { signal } = await this.site.process.kill();
    assert.equal(signal, 'SIGKILL', this.site.process.stderr());
    this.#s3?.destroy();
  }

  /** SIGKILL, and looks at what is left in the tables. */
  async killAndCheck(check: (tables: Tables) => void): Promise<void> {
    await this.kill();
    await this.#inspect(check);
  }

  /** Ends as an operator would, and looks at what is left in the tables. */
  async stop(check: (tables: Tables) => void = () => undefined): Promise<void> {
    const { code } = await this.site.process.stop();
    assert.equal(code, 0, this.site.process.stderr());
    this.#s3?.destroy();
    await this.#inspect(check);
  }

  /** Waits until nothing is due or in flight for the buckets: what is left are looks for late requests. */
  async settled(buckets: readonly string[]): Promise<void> {
    for (const bucket of buckets) await this.#settled(bucket);
  }

  /** Lets the time of late requests pass: the looks for them are due. */
  async leap(buckets: readonly string[]): Promise<void> {
    await this.#tell('POST', TIME_PATH, { leapMs: LEAP_MS });
    this.#leptMs += LEAP_MS;
    for (const bucket of buckets) {
      const path = `${bucket}/replication/tasks/retry?state=pending`;
      const { status, text } = await admin(this.site, 'POST', path);
      assert.equal(status, 200, text);
    }
  }

  /** Waits until nothing at all is queued. */
  async drained(buckets: readonly string[]): Promise<void> {
    for (let leaps = 0; ; leaps++) {
      await this.settled(buckets);
      const busy: string[] = [];
      for (const bucket of buckets) {
        if ((await this.#tasks(bucket)).length > 0) busy.push(bucket);
      }
      if (busy.length === 0) return;
      assert(leaps < LEAPS_MAX, `there is no end to the looks at ${busy.join(', ')}`);
      await this.leap(busy);
    }
  }

  async #tasks(bucket: string): Promise<readonly TaskAnswer[]> {
    const answer = await admin(this.site, 'GET', `${bucket}/replication/tasks`);
    assert.equal(answer.status, 200, answer.text);
    return (answer.json as { readonly tasks: readonly TaskAnswer[] }).tasks;
  }

  get #data(): string {
    return join(this.#directory, 'data');
  }

  async #inspect(check: (tables: Tables) => void): Promise<void> {
    const tables = await openTables(this.#data);
    try {
      assertTablesAgree(tables);
      check(tables);
    } finally {
      await tables.close();
    }
  }

  async #settled(bucket: string): Promise<void> {
    let due: readonly TaskAnswer[] = [];
    const isSettled = async (): Promise<boolean> => {
      const now = Date.now() + this.#leptMs;
      const tasks = await this.#tasks(bucket);
      due = tasks.filter(({ nextAttemptAt }) => Date.parse(nextAttemptAt) <= now);
      return due.length === 0;
    };
    try {
      await until(isSettled, `the deliveries of ${bucket}`);
    } catch (error) {
      const some = JSON.stringify(due.slice(0, 2));
      throw new Error(`${due.length} tasks of ${bucket} are still due: ${some}.`, { cause: error });
    }
  }

  async #tell(method: string, path: string, body: unknown): Promise<void> {
    const response = await fetch(this.site.account.url + path, {
      method,
      body: JSON.stringify(body),
    });
    assert.equal(response.status, 204, await response.text());
  }
}
