/**
 * Some bucket names on a running server, each with what the model says is stored, and the ways to
 * send requests at them: one after the other, or many at once until the process is killed.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { open } from 'lmdb';
import type { StoredConfiguration } from '../../src/model/generated/stored-configuration.ts';
import { Keyring, parseKeys } from '../../src/sealing/keyring.ts';
import { boxContext } from '../../src/store/secret-boxes.ts';
import { readOrCreateSecret } from '../../src/sealing/secret-file.ts';
import {
  ACTORS,
  expect,
  observe,
  type ModelRequest,
  type ModelState,
} from './configuration-model.ts';
import type { Coverage } from './coverage.ts';
import { findOrder, type Exchange } from './linearization.ts';
import type { PlannedRequest } from './planned-requests.ts';
import { realize, type Memory } from './realized-requests.ts';
import type { Connection, ServerLives } from './server-lives.ts';

/** One client of a burst: it sends its requests to one bucket, each after the last one's answer. */
export interface BurstClient {
  readonly bucket: number;
  readonly requests: readonly PlannedRequest[];
}

export interface Burst {
  readonly clients: readonly BurstClient[];
  /** The process is killed when that many answers have come. */
  readonly answersUntilKill: number;
}

export class CheckedBuckets {
  readonly names: readonly string[];
  readonly #lives: ServerLives;
  readonly #coverage: Coverage;
  readonly #states = new Map<string, ModelState>();
  readonly #memories = new Map<string, Memory>();
  #connection: Connection;
  #moments = 0;

  constructor(lives: ServerLives, names: readonly string[], coverage: Coverage) {
    this.#lives = lives;
    this.#coverage = coverage;
    this.names = names;
    this.#connection = lives.connect();
    for (const name of names)
      this.#memories.set(name, { targetLists: [], ruleLists: [], tags: [] });
  }

  /** Sends what the plan means now, and reads the bucket again: both must be what the model says. */
  async send(bucket: number, plan: PlannedRequest): Promise<void> {
    const name = this.#name(bucket);
    const state = this.#state(name);
    await this.#check(name, realize(plan, state, this.#memory(name)));
    const owner = this.#state(name)?.owner;
    if (owner === undefined) return;
    await this.#check(name, { kind: 'getTargets', actor: owner });
    await this.#check(name, { kind: 'getRules', actor: owner });
  }

  /** Connects to the process of now and reads every bucket as every actor. */
  async readAll(): Promise<void> {
    this.#reconnect();
    for (const name of this.names) {
      for (const request of readings()) await this.#check(name, request);
    }
  }

  /** Many clients at once, SIGKILL among them, a new process: some serial order explains all answers. */
  async crash({ clients, answersUntilKill }: Burst): Promise<void> {
    const exchanges: Exchange[][] = clients.map(() => []);
    let answers = 0;
    let killed: Promise<void> | undefined;
    const onAnswer = (): void => {
      answers += 1;
      if (answers >= answersUntilKill) killed ??= this.#lives.kill();
    };
    const run = clients.map((client, index) => this.#burst(client, exchanges[index]!, onAnswer));
    if (answersUntilKill === 0) killed = this.#lives.kill();
    await Promise.all(run);
    await (killed ?? this.#lives.kill());
    await this.#lives.start();
    this.#reconnect();
    for (const [bucket, name] of this.names.entries()) {
      const own = exchanges.filter((_, index) => clients[index]!.bucket === bucket);
      await this.#explain(name, this.#state(name), own);
    }
  }

  /** Compares the secrets that are stored, behind the API's mask, with the model's. */
  async checkSecrets(): Promise<void> {
    const { dataDirectory } = this.#lives;
    const keys = parseKeys(readOrCreateSecret(join(dataDirectory, 'replication.key')));
    const keyring = new Keyring(keys);
    const records = await readRecords(dataDirectory, this.names);
    for (const [name, state] of this.#states) {
      const record = records.get(name);
      // The record of a bucket that is gone may be there until it is swept.
      if (state === null || state.targets.length === 0) continue;
      assert(record !== undefined, `the record of ${name}`);
      const opened = record.targets.map((target) =>
        keyring.open(target.secret, boxContext(record.bucketId, target)),
      );
      assert.deepEqual(
        opened,
        state.targets.map(({ secret }) => secret),
      );
    }
  }

  close(): void {
    this.#connection.close();
  }

  async #burst(client: BurstClient, exchanges: Exchange[], onAnswer: () => void): Promise<void> {
    const name = this.#name(client.bucket);
    // As things stand before the burst: so no request knows a tag that the burst makes.
    const state = this.#state(name);
    const connection = this.#lives.connect();
    for (const plan of client.requests) {
      const request = realize(plan, state, this.#memory(name));
      const startedAt = this.#moment();
      try {
        const answer = await connection.send(name, request);
        exchanges.push({ request, startedAt, answer, answeredAt: this.#moment() });
        this.#coverage.count('burst, answered');
        onAnswer();
      } catch {
        exchanges.push({ request, startedAt, answer: null, answeredAt: Infinity });
        this.#coverage.count('burst, cut off');
        break;
      }
    }
    connection.close();
  }

  async #explain(
    name: string,
    before: ModelState,
    exchanges: readonly (readonly Exchange[])[],
  ): Promise<void> {
    const read: Exchange[] = [];
    for (const request of readings()) {
      const startedAt = this.#moment();
      const answer = await this.#connection.send(name, request);
      read.push({ request, startedAt, answer, answeredAt: this.#moment() });
    }
    const found = findOrder(before, exchanges, read);
    if (found === null) {
      const clients = exchanges.map((client, index) => `client ${index}:\n${tell(client)}`);
      assert.fail(
        `No serial order explains the answers of ${name} around a kill.\n` +
          `before: ${JSON.stringify(before)}\n${clients.join('')}after the restart:\n${tell(read)}`,
      );
    }
    if (exchanges.some((client) => client.at(-1)?.answer === null)) {
      const changed = JSON.stringify(found.state) !== JSON.stringify(before);
      this.#coverage.count(changed ? 'bucket changed by a burst' : 'bucket unchanged by a burst');
    }
    this.#remember(name, found.state);
  }

  async #check(name: string, request: ModelRequest): Promise<void> {
    const state = this.#state(name);
    const expected = expect(state, request);
    const answer = await this.#connection.send(name, request);
    const observed = observe(expected, answer);
    if (typeof observed === 'string') {
      assert.fail(`${JSON.stringify(request)} on ${name}: ${observed}\n${JSON.stringify(state)}`);
    }
    this.#coverage.count(`${request.kind} ${answer.status} ${expected.code ?? ''}`.trim());
    this.#coverage.countChange(state, request, observed.state);
    this.#remember(name, observed.state);
  }

  #remember(name: string, state: ModelState): void {
    const memory = this.#memory(name);
    this.#states.set(name, state);
    if (state === null) return;
    if (state.targets.length > 0) addNew(memory.targetLists, state.targets);
    if (state.rules.length > 0) addNew(memory.ruleLists, state.rules);
    addNew(memory.tags, `"${state.tag}"`);
  }

  #reconnect(): void {
    this.#connection.close();
    this.#connection = this.#lives.connect();
  }

  #state(name: string): ModelState {
    return this.#states.get(name) ?? null;
  }

  #name(bucket: number): string {
    return this.names[bucket % this.names.length]!;
  }

  #memory(name: string): Memory {
    return this.#memories.get(name)!;
  }

  #moment(): number {
    this.#moments += 1;
    return this.#moments;
  }
}

/** Of these buckets alone: another run's may be what that run failed for. */
async function readRecords(
  dataDirectory: string,
  names: readonly string[],
): Promise<ReadonlyMap<string, StoredConfiguration | undefined>> {
  const root = open({ path: join(dataDirectory, 'replication'), noSubdir: false, readOnly: true });
  const records = root.openDB<StoredConfiguration, string>({ name: 'configurations' });
  const found = new Map(names.map((name) => [name, records.get(name)]));
  await root.close();
  return found;
}

/** What everybody sees of a bucket. */
function readings(): ModelRequest[] {
  return ACTORS.flatMap((actor) =>
    (['getVersioning', 'getTargets', 'getRules'] as const).map((kind) => ({ kind, actor })),
  );
}

/** Appends `item` unless it is the last one already. */
function addNew<T>(items: T[], item: T): void {
  if (JSON.stringify(items.at(-1)) !== JSON.stringify(item)) items.push(item);
}

function tell(exchanges: readonly Exchange[]): string {
  const lines = exchanges.map(({ request, startedAt, answer, answeredAt }) => {
    const said = answer === null ? 'no answer' : `${answer.status} ${answer.etag} ${answer.text}`;
    return `  ${startedAt}-${answeredAt} ${JSON.stringify(request)}\n    ${said}\n`;
  });
  return lines.join('');
}
