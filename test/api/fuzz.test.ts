/**
 * Ten thousand mutated bodies over real connections: each gets a 4xx or a 200, and a 4xx changes
 * nothing.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { OWNER } from '../support/koa-host.ts';
import { KeepAliveClient, type ClientAnswer } from '../support/keep-alive-client.ts';
import {
  mutilatedRequest,
  SECRET_MARK,
  structuredRequest,
  type MutatedRequest,
} from '../support/mutated-bodies.ts';
import { rulesPath, targetBody, targetsPath, uuid } from '../support/replication-bodies.ts';
import { startReplicationHost, type ReplicationHost } from '../support/replication-host.ts';
import { readStoredRecords } from '../support/stored-records.ts';
import { assertProperty, seed } from '../support/seed.ts';

const RUNS_PER_LANE = 2_500;

const authorization = `Bearer ${OWNER}`;

type Shown = Pick<ClientAnswer, 'text' | 'etag'>;

/** One bucket with a connection of its own, whose configuration is known before each request. */
class Lane {
  readonly statuses = new Map<number, number>();
  readonly #client: KeepAliveClient;
  readonly #paths: Readonly<Record<'targets' | 'rules', string>>;
  /** What GET must show: the last accepted lists, under the last tag of both. */
  readonly #expected = { targets: '{"targets":[]}', rules: '{"rules":[]}' };
  #etag: string | undefined = '"0"';

  constructor(host: ReplicationHost, bucketName: string) {
    host.addBucket(bucketName);
    this.#client = new KeepAliveClient(host.url);
    this.#paths = { targets: targetsPath(bucketName), rules: rulesPath(bucketName) };
  }

  async put({ resource, headers, body }: MutatedRequest): Promise<void> {
    const answer = await this.#client.send({
      method: 'PUT',
      path: this.#paths[resource],
      headers: { authorization, 'content-type': 'application/json', ...headers },
      body,
    });
    this.statuses.set(answer.status, (this.statuses.get(answer.status) ?? 0) + 1);
    assert.equal(answer.text.includes(SECRET_MARK), false, 'the answer holds no secret');
    if (answer.status === 200) {
      this.#expected[resource] = answer.text;
      this.#etag = answer.etag;
      // A lost target disables rules.
      if (resource === 'targets') this.#expected.rules = (await this.#get('rules')).text;
    } else {
      assert(answer.status >= 400 && answer.status < 500, `${answer.status} ${answer.text}`);
      const { error, reason, code } = JSON.parse(answer.text) as Record<string, unknown>;
      assert.deepEqual([error, typeof reason, typeof code], [true, 'string', 'string']);
    }
    await this.assertShown(resource);
  }

  /** The tag covers both lists, so that one of them shows a change of either. */
  async assertShown(resource: 'targets' | 'rules'): Promise<void> {
    const { text, etag }: Shown = await this.#get(resource);
    assert.deepEqual({ text, etag }, { text: this.#expected[resource], etag: this.#etag });
  }

  close(): void {
    this.#client.close();
  }

  #get(resource: 'targets' | 'rules'): Promise<ClientAnswer> {
    return this.#client.send({
      method: 'GET',
      path: this.#paths[resource],
      headers: { authorization },
    });
  }
}

describe('fuzzing', () => {
  it(`${4 * RUNS_PER_LANE} mutated bodies`, async (t) => {
    const host = await startReplicationHost(t, { system: { lookup: async () => ['8.8.8.8'] } });
    const arbitraries = [structuredRequest, mutilatedRequest, structuredRequest, mutilatedRequest];
    const lanes = arbitraries.map((_, index) => new Lane(host, `lane-${index}`));
    t.after(() => lanes.forEach((lane) => lane.close()));
    await Promise.all(
      arbitraries.map(async (arbitrary, index) => {
        const lane = lanes[index]!;
        const targets = [targetBody({ id: uuid(1) }), targetBody({ id: uuid(2) })];
        const body = Buffer.from(JSON.stringify({ targets }));
        await lane.put({ resource: 'targets', headers: {}, body });
        const property = fc.asyncProperty(arbitrary, (request) => lane.put(request));
        await assertProperty(property, { numRuns: RUNS_PER_LANE, seed: seed + index });
      }),
    );
    for (const [index, lane] of lanes.entries()) {
      t.diagnostic(`lane ${index}: ${JSON.stringify(Object.fromEntries(lane.statuses))}`);
      assert((lane.statuses.get(200) ?? 0) > 1 && (lane.statuses.get(400) ?? 0) > 500);
      await lane.assertShown('targets');
      await lane.assertShown('rules');
    }
    const { configurations } = await readStoredRecords(host.dataDirectory);
    assert.equal(configurations.size, 4);
    assert.equal(host.logText().includes(SECRET_MARK), false, 'the log holds no secret');
    assert.equal(host.logs.length, host.audits().length, 'nothing but audit lines was logged');
  });
});
