/**
 * The whole plugin on a host with objects, a DNS of the test's making, and listeners at addresses of
 * this machine that it must not reach unless somebody allowed them.
 */
import assert from 'node:assert/strict';
import type { Bucket } from '../../src/host.ts';
import { OWNER } from '../support/koa-host.ts';
import { ObjectShelf } from '../support/object-shelf.ts';
import {
  ruleBody,
  rulesPath,
  targetBody,
  targetsPath,
  uuid,
  type TargetFields,
} from '../support/replication-bodies.ts';
import { startReplicationHost, type ReplicationHost } from '../support/replication-host.ts';
import { until } from '../support/until.ts';
import { ownAddresses, startListeners, type Listener } from './counting-listeners.ts';

/** Stands for a public address: the operator's option says so. */
export const PUBLIC = '127.0.0.77';
/** The owner of the buckets, while he is an administrator too. */
export const OWNER_AS_ADMIN = 'owner-as-administrator-token';
const REFUSED = /leads to an address that this target may not use/;

interface Cleanup {
  after(cleanup: () => void | Promise<void>): void;
}

/** What DNS says at the first, second … lookup of a name. */
type Answers = (count: number) => readonly string[];

interface TargetStatus {
  readonly state: string;
  readonly retryAt: string | null;
  readonly lastError: string | null;
}

interface Task {
  readonly attempts: number;
}

export class EgressSite {
  readonly port: number;
  readonly shelf = new ObjectShelf();
  /** A name that is missing does not resolve. */
  readonly names = new Map<string, Answers>();
  readonly #listeners: ReadonlyMap<string, Listener>;
  readonly #lookups = new Map<string, number>();
  #host: ReplicationHost | null = null;

  private constructor(port: number, listeners: ReadonlyMap<string, Listener>) {
    this.port = port;
    this.#listeners = listeners;
  }

  /** @param allow ranges that the operator calls public */
  static async start(t: Cleanup, allow: readonly string[] = [`${PUBLIC}/32`]): Promise<EgressSite> {
    const addresses = ['127.0.0.1', '127.0.0.2', '::1', PUBLIC, ...ownAddresses()];
    const { port, listeners } = await startListeners(t, addresses);
    const site = new EgressSite(port, listeners);
    await site.#activate(t, allow);
    return site;
  }

  /** Everything stays but the operator's option. */
  async restart(t: Cleanup, allow: readonly string[]): Promise<void> {
    await this.host.plugin.close();
    await this.#activate(t, allow);
  }

  async #activate(t: Cleanup, allow: readonly string[]): Promise<void> {
    const earlier =
      this.#host === null
        ? {}
        : { dataDirectory: this.#host.dataDirectory, buckets: this.#host.buckets };
    this.#host = await startReplicationHost(t, {
      ...earlier,
      objects: this.shelf,
      pluginOptions: { egress: { allow } },
      system: { lookup: (name) => this.#lookUp(name) },
    });
    this.#host.principals.set(`Bearer ${OWNER_AS_ADMIN}`, { userId: 'owner', isAdmin: true });
  }

  get host(): ReplicationHost {
    assert.ok(this.#host !== null);
    return this.#host;
  }

  at(address: string): Listener {
    const listener = this.#listeners.get(address);
    assert.ok(listener !== undefined, `${address} is none of this machine's`);
    return listener;
  }

  /** Those of the addresses that can be had here. */
  reachable(addresses: readonly string[]): readonly string[] {
    return addresses.filter((address) => this.#listeners.has(address));
  }

  /** Connections that were accepted at addresses which are not public. */
  innerAccepted(): number {
    const inner = [...this.#listeners.values()].filter(({ address }) => address !== PUBLIC);
    return inner.reduce((sum, listener) => sum + listener.accepted(), 0);
  }

  lookups(name: string): number {
    return this.#lookups.get(name) ?? 0;
  }

  /** A bucket that replicates to the host of that name, saved with that token. */
  async replicatingBucket(name: string, hostname: string, token = OWNER): Promise<Bucket> {
    const bucket = this.host.addBucket(name);
    assert.equal(await this.saveTarget(bucket, hostname, token), 200, `saving ${hostname}`);
    const body = { rules: [ruleBody({ targetId: uuid(1) })] };
    const answer = await this.host.request('PUT', rulesPath(name), { body });
    assert.equal(answer.status, 200, answer.text);
    return bucket;
  }

  /** Saves the bucket's only target, under the same id each time; resolves with the status. */
  async saveTarget(
    bucket: Bucket,
    hostname: string,
    token = OWNER,
    fields: Partial<TargetFields> = {},
  ): Promise<number> {
    const endpoint = `http://${hostname}:${this.port}`;
    const body = { targets: [targetBody({ id: uuid(1), endpoint, ...fields })] };
    return (await this.host.request('PUT', targetsPath(bucket.name), { body, token })).status;
  }

  write(bucket: Bucket, key: string, body: Buffer | string | null): Promise<void> {
    return this.shelf.write(this.host.plugin, bucket, key, body);
  }

  async tasks(bucket: Bucket): Promise<readonly Task[]> {
    const { json } = await this.#replication(bucket, 'GET', 'tasks');
    return (json as { readonly tasks: readonly Task[] }).tasks;
  }

  /** Asks for a try of everything that waits, at once, and waits for it. */
  async tryAgain(bucket: Bucket): Promise<void> {
    await this.#replication(bucket, 'POST', 'tasks/retry?state=pending');
    await this.tried(bucket);
  }

  /** Waits until something was tried, whatever came of it. */
  async tried(bucket: Bucket): Promise<void> {
    await until(async () => {
      const tasks = await this.tasks(bucket);
      return tasks.length === 0 || tasks.some(({ attempts }) => attempts > 0);
    }, `a try in ${bucket.name}`);
  }

  async drained(bucket: Bucket): Promise<void> {
    await until(
      async () => (await this.tasks(bucket)).length === 0,
      `the queue of ${bucket.name} to drain`,
    );
  }

  /** Of the bucket's only target. */
  async status(bucket: Bucket): Promise<TargetStatus> {
    const { json } = await this.#replication(bucket, 'GET', 'status');
    return (json as { readonly targets: readonly [TargetStatus] }).targets[0];
  }

  /** Waits until the status says that the address is refused. */
  async refused(bucket: Bucket): Promise<void> {
    let lastError = '';
    await until(async () => {
      lastError = String((await this.status(bucket)).lastError);
      return REFUSED.test(lastError);
    }, `a refusal`).catch((error: unknown) => {
      throw new Error(`The status of ${bucket.name} says: ${lastError}`, { cause: error });
    });
  }

  async #replication(
    { name }: Bucket,
    method: string,
    path: string,
  ): Promise<{ readonly json: unknown }> {
    const answer = await this.host.request(method, `/api/v1/buckets/${name}/replication/${path}`);
    assert.equal(answer.status, 200, answer.text);
    return answer;
  }

  async #lookUp(name: string): Promise<readonly string[]> {
    const count = this.lookups(name) + 1;
    this.#lookups.set(name, count);
    const answers = this.names.get(name);
    if (answers === undefined) throw new Error('There is no such name.');
    return answers(count);
  }
}
