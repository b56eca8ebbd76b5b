/**
 * Tasks, retries, status and resync over the admin API. The target is disabled, so that what is
 * queued stays queued and nothing is connected to.
 */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { Answer } from '../support/koa-host.ts';
import { ruleBody, targetBody, uuid } from '../support/replication-bodies.ts';
import { startReplicationHost, type ReplicationHost } from '../support/replication-host.ts';
import { until } from '../support/until.ts';

const BASE = '/api/v1/buckets/photos/replication';
const TARGET = uuid(1);
const RULE = uuid(2);

interface Queue {
  readonly host: ReplicationHost;
  /** Commits a put of each key, as the write path of a storage server does. */
  readonly put: (...keys: string[]) => Promise<void>;
}

async function startQueue(t: TestContext, rule: object = {}): Promise<Queue> {
  const host = await startReplicationHost(t);
  await host.putTargets([targetBody({ id: TARGET, enabled: false })]);
  await host.putRules([ruleBody({ id: RULE, targetId: TARGET, ...rule })]);
  let order = 0;
  return {
    host,
    async put(...keys) {
      for (const key of keys) await putOne(host, key, (order += 1));
    },
  };
}

async function putOne(
  { buckets, plugin }: ReplicationHost,
  key: string,
  order: number,
): Promise<void> {
  const write = { bucket: buckets.get('photos')!, key, operation: 'put' } as const;
  const announcement = await plugin.announce!([{ ...write, before: null }]);
  const versionId = `version-${order}`;
  await announcement.committed([{ ...write, versionId, order, replica: false }]);
}

/** Answers of the queue have other fields than those of targets and rules. */
function fieldsOf(answer: Answer): Record<string, unknown> {
  return answer.json as Record<string, unknown>;
}

async function get(host: ReplicationHost, path: string): Promise<Record<string, unknown>> {
  const answer = await host.request('GET', `${BASE}/${path}`);
  assert.equal(answer.status, 200, answer.text);
  return fieldsOf(answer);
}

describe('GET /tasks', () => {
  it('shows a queued task with all its fields', async (t) => {
    const { host, put } = await startQueue(t);
    await put('dir/a');
    const { tasks } = (await get(host, 'tasks')) as { tasks: Record<string, unknown>[] };
    const [{ id, nextAttemptAt, createdAt, ...task } = {}] = tasks;
    assert.match(String(id), /^\d+$/);
    for (const time of [nextAttemptAt, createdAt]) {
      assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    }
    assert.deepEqual(task, {
      ruleId: RULE,
      targetId: TARGET,
      endpoint: targetBody({}).endpoint,
      key: 'dir/a',
      versionId: 'version-1',
      operation: 'put',
      state: 'pending',
      attempts: 0,
      lastError: null,
    });
  });

  it('pages newest first', async (t) => {
    const { host, put } = await startQueue(t);
    await put('a', 'b', 'c');
    const keys: unknown[] = [];
    let next: string | undefined;
    do {
      const after: string = next === undefined ? '' : `&after=${next}`;
      const page = await get(host, `tasks?limit=2${after}`);
      keys.push(...(page['tasks'] as { key: string }[]).map(({ key }) => key));
      next = page['next'] as string | undefined;
    } while (next !== undefined);
    assert.deepEqual(keys, ['c', 'b', 'a']);
  });

  it('shows tasks of a removed target as failed, and finds them as such', async (t) => {
    const { host, put } = await startQueue(t);
    await put('a');
    await host.putTargets([]);
    const { tasks } = (await get(host, 'tasks?state=failed')) as {
      tasks: Record<string, unknown>[];
    };
    assert.equal(tasks[0]?.['state'], 'failed');
    assert.equal(tasks[0]?.['lastError'], 'The target was removed.');
    assert.equal(tasks[0]?.['endpoint'], null);
    assert.deepEqual(await get(host, 'tasks?state=pending'), { tasks: [] });
  });

  for (const query of [
    'state=done',
    'limit=0',
    'limit=101',
    'limit=x',
    'after=-1',
    'after=1&after=2',
  ]) {
    it(`refuses ?${query}`, async (t) => {
      const { host } = await startQueue(t);
      const answer = await host.request('GET', `${BASE}/tasks?${query}`);
      assert.equal(answer.status, 400);
      assert.equal(fieldsOf(answer)['code'], 'InvalidRequest');
      assert.match(answer.text, new RegExp(`"\\?${query.split('=')[0]!}"`));
    });
  }
});

describe('retries', () => {
  it('of one task answer the task; of none 404', async (t) => {
    const { host, put } = await startQueue(t);
    await put('a');
    const { tasks } = (await get(host, 'tasks')) as { tasks: { id: string }[] };
    const retried = await host.request('POST', `${BASE}/tasks/${tasks[0]!.id}/retry`);
    assert.equal(retried.status, 200);
    assert.equal(fieldsOf(retried)['id'], tasks[0]!.id);
    for (const id of ['999999', '0', 'x', '1e3']) {
      const missing = await host.request('POST', `${BASE}/tasks/${id}/retry`);
      assert.equal(missing.status, 404, id);
      assert.equal(fieldsOf(missing)['code'], 'NoSuchTask');
    }
  });

  it('of many answer how many, by state and rule', async (t) => {
    const { host, put } = await startQueue(t);
    await put('a', 'b');
    const retry = (query: string): ReturnType<ReplicationHost['request']> =>
      host.request('POST', `${BASE}/tasks/retry${query}`);
    assert.deepEqual((await retry('')).json, { retried: 0 });
    assert.deepEqual((await retry(`?state=pending&ruleId=${RULE}`)).json, { retried: 2 });
    assert.equal((await retry(`?ruleId=${uuid(9)}`)).status, 400);
  });
});

describe('GET /status', () => {
  it('counts per rule and target, and says that a disabled target is paused', async (t) => {
    const { host, put } = await startQueue(t);
    await put('a', 'b');
    const { rules, targets } = (await get(host, 'status')) as {
      rules: Record<string, unknown>[];
      targets: Record<string, unknown>[];
    };
    assert.deepEqual(rules, [
      {
        ruleId: RULE,
        targetId: TARGET,
        enabled: true,
        queued: 2,
        verifying: 0,
        failed: 0,
        gapSince: null,
      },
    ]);
    assert.equal(targets[0]?.['queued'], 2);
    assert.equal(targets[0]['state'], 'paused');
    assert.equal(typeof targets[0]['oldestAgeSeconds'], 'number');
  });

  it('says alike in every process, and after a restart, how a target is doing', async (t) => {
    const pluginOptions = { egress: { allow: ['127.0.0.0/8'] } };
    const first = await startReplicationHost(t, { pluginOptions });
    const stateOf = async (host: ReplicationHost): Promise<Record<string, unknown>> => {
      const { targets } = (await get(host, 'status')) as { targets: Record<string, unknown>[] };
      const { state, retryAt, lastError, degraded } = targets[0]!;
      return { state, retryAt, lastError, degraded };
    };
    const unreachable = targetBody({ id: TARGET, endpoint: 'http://127.0.0.1:1' });
    await first.putTargets([unreachable]);
    await first.putRules([ruleBody({ id: RULE, targetId: TARGET })]);
    const healthy = { state: 'idle', retryAt: null, lastError: null, degraded: [] };
    assert.deepEqual(await stateOf(first), healthy);
    await putOne(first, 'a', 1);
    await until(async () => (await stateOf(first))['state'] === 'open', 'the failure');
    const { dataDirectory, buckets } = first;
    const second = await startReplicationHost(t, { dataDirectory, buckets, pluginOptions });
    const { state, retryAt, lastError } = await stateOf(second);
    assert(state === 'open' || state === 'probing', String(state));
    assert.equal(retryAt === null, state === 'probing');
    assert.equal(lastError, 'The target refuses connections.');
    await second.putTargets([{ ...unreachable, region: 'other', enabled: false }]);
    for (const host of [first, second]) assert.equal((await stateOf(host))['state'], 'paused');
    await first.close();
    await second.close();
    const third = await startReplicationHost(t, { dataDirectory, buckets, pluginOptions });
    assert.deepEqual(await stateOf(third), { ...healthy, state: 'paused' });
  });

  it('says that a secret cannot be opened', async (t) => {
    const { host, put } = await startQueue(t);
    await put('a');
    await host.putTargets([targetBody({ id: TARGET })]);
    await host.close();
    const { dataDirectory, buckets } = host;
    const next = await startReplicationHost(t, {
      dataDirectory,
      buckets,
      pluginOptions: { sealing: { environmentVariable: 'KEYS' } },
      system: { environment: { KEYS: Buffer.alloc(32, 7).toString('base64') } },
    });
    const { targets } = (await get(next, 'status')) as { targets: Record<string, unknown>[] };
    assert.equal(targets[0]?.['state'], 'paused');
    assert.match(String(targets[0]['lastError']), /does not open.*save the target with its secret/);
  });

  it('shows since when a disabled rule has missed writes', async (t) => {
    const { host, put } = await startQueue(t, { enabled: false });
    const gap = async (): Promise<unknown> =>
      ((await get(host, 'status'))['rules'] as { gapSince: unknown }[])[0]?.gapSince;
    assert.equal(await gap(), null);
    await put('a');
    assert.match(String(await gap()), /^\d{4}-/);
  });
});

describe('what the host is told', () => {
  it('the replication status of a version follows its task', async (t) => {
    const { host, put } = await startQueue(t);
    await put('a');
    const version = { bucket: host.buckets.get('photos')!, key: 'a', versionId: 'version-1' };
    assert.equal(await host.plugin.replicationStatus!(version), 'PENDING');
    const others = [
      { ...version, versionId: 'version-0' },
      { ...version, key: 'b' },
    ];
    for (const other of others) {
      assert.equal(await host.plugin.replicationStatus!(other), 'COMPLETED');
    }
    await host.putRules([]);
    assert.equal(await host.plugin.replicationStatus!(version), 'COMPLETED');
  });

  it('an announcement says which writes a rule covers', async (t) => {
    const { host } = await startQueue(t, { prefix: 'in/' });
    const bucket = host.buckets.get('photos')!;
    const writes = ['in/a', 'out/b'].map(
      (key) => ({ bucket, key, operation: 'put', before: null }) as const,
    );
    const announcement = await host.plugin.announce!(writes);
    assert.deepEqual(announcement.replicates, [true, false]);
    await announcement.abandoned();
  });

  it('metrics count the queue and name nothing of their owners', async (t) => {
    const { host, put } = await startQueue(t);
    await put('secret-key', 'b');
    const metrics = await host.plugin.metrics();
    assert.match(metrics, /^alarik_replication_pending_tasks 2$/m);
    assert.match(metrics, /^alarik_replication_failed_tasks 0$/m);
    assert.match(metrics, /^alarik_replication_store_bytes [1-9]\d*$/m);
    for (const name of ['photos', 'secret-key', TARGET, '192.0.2.10', 'owner']) {
      assert.equal(metrics.includes(name), false, name);
    }
  });
});

describe('resync', () => {
  const PATH = `${BASE}/rules/${RULE}/resync`;

  it('is 404 before the first run, runs, and is shown when it is done', async (t) => {
    const { host } = await startQueue(t);
    assert.equal((await host.request('GET', PATH)).status, 404);
    assert.equal((await host.request('DELETE', PATH)).status, 404);
    const started = await host.request('POST', PATH);
    assert.equal(started.status, 202);
    assert.equal(started.text, '');
    const job = await until(async () => {
      const fields = fieldsOf(await host.request('GET', PATH));
      return fields['state'] === 'completed' && fields;
    }, 'the resync to complete');
    assert.equal(job['scanned'], 0);
    assert.match(String(job['finishedAt']), /^\d{4}-/);
  });

  it('is refused while one runs, and can be cancelled', async (t) => {
    const { host } = await startQueue(t);
    let release = (): void => undefined;
    const listed = new Promise<void>((resolve) => (release = resolve));
    host.host.listCurrent = async () => {
      await listed;
      return { objects: [] };
    };
    t.after(release);
    assert.equal((await host.request('POST', PATH)).status, 202);
    const again = await host.request('POST', PATH);
    assert.equal(again.status, 409);
    assert.equal(fieldsOf(again)['code'], 'ResyncInProgress');
    assert.equal((await host.request('DELETE', PATH)).status, 204);
    assert.equal(fieldsOf(await host.request('GET', PATH))['state'], 'cancelled');
    release();
  });

  it('is refused for a rule that is disabled or missing', async (t) => {
    const { host } = await startQueue(t, { enabled: false });
    assert.equal((await host.request('POST', PATH)).status, 409);
    const missing = await host.request('POST', `${BASE}/rules/${uuid(9)}/resync`);
    assert.equal(missing.status, 404);
    assert.equal(fieldsOf(missing)['code'], 'NoSuchRule');
  });
});
