/** One audit line for each change, complete and without keys, and a request id on every answer. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ADMIN } from '../support/koa-host.ts';
import {
  MASK,
  ruleBody,
  targetBody,
  targetsPath,
  uniqueSecret,
  uuid,
} from '../support/replication-bodies.ts';
import { etagOf, startReplicationHost } from '../support/replication-host.ts';

describe('audit lines', () => {
  it('say who, where, what and at which revision, and never a key', async (t) => {
    const host = await startReplicationHost(t);
    const { id: bucketId } = host.buckets.get('photos')!;
    const actor = { userId: 'owner', isAdmin: false, bucket: 'photos', bucketId };
    const [secret, accessKeyId] = [uniqueSecret(), uniqueSecret()];
    const one = targetBody({
      id: uuid(1),
      endpoint: 'https://192.0.2.10:9000/path',
      secretAccessKey: secret,
      accessKeyId,
    });
    const two = targetBody({ id: uuid(2), endpoint: 'https://192.0.2.20', enabled: false });

    const added = await host.putTargets([one, two]);
    const rules = await host.putRules([ruleBody({ id: uuid(4), targetId: uuid(1) })]);
    const changedTwo = { ...two, secretAccessKey: uniqueSecret() };
    const changed = await host.putTargets([
      { ...one, secretAccessKey: MASK, region: 'eu-west-1' },
      changedTwo,
    ]);
    // Nothing changes: no line.
    await host.putTargets((await host.getTargets()).json.targets);
    await host.putTargets([{ ...one, region: 'eu-west-1' }, changedTwo]);
    const removed = await host.putTargets([{ ...two, secretAccessKey: MASK }]);

    const line = (answer: typeof added, fields: object): object => ({
      level: 'info',
      requestId: answer.headers.get('x-request-id'),
      ...actor,
      revision: etagOf(answer).slice(1, -1),
      added: [],
      changed: [],
      removed: [],
      ...fields,
    });
    const targets = {
      audit: 'targets-replaced',
      message: 'replication targets replaced',
      rulesDisabled: [],
    };
    const describeOne = { id: uuid(1), endpointHost: '192.0.2.10', enabled: true };
    const describeTwo = { id: uuid(2), endpointHost: '192.0.2.20', enabled: false };
    assert.deepEqual(host.audits(), [
      line(added, {
        ...targets,
        added: [
          { ...describeOne, secret: 'new' },
          { ...describeTwo, secret: 'new' },
        ],
      }),
      line(rules, {
        audit: 'rules-replaced',
        message: 'replication rules replaced',
        added: [{ id: uuid(4), targetId: uuid(1), enabled: true }],
      }),
      line(changed, {
        ...targets,
        changed: [
          { ...describeOne, secret: 'kept' },
          { ...describeTwo, secret: 'new' },
        ],
      }),
      line(removed, { ...targets, removed: [{ id: uuid(1) }], rulesDisabled: [uuid(4)] }),
    ]);
    for (const key of [secret, accessKeyId]) assert.equal(host.logText().includes(key), false);
  });

  it('say that an administrator did it', async (t) => {
    const host = await startReplicationHost(t);
    host.addBucket('admins', 'admin');
    await host.request('PUT', targetsPath('admins'), {
      token: ADMIN,
      body: { targets: [targetBody()] },
    });
    assert.deepEqual(
      host.audits().map(({ userId, isAdmin, bucket }) => [userId, isAdmin, bucket]),
      [['admin', true, 'admins']],
    );
  });

  it('there is none for reads and refused changes', async (t) => {
    const host = await startReplicationHost(t);
    await host.getTargets();
    await host.putTargets([{}]);
    await host.putTargets([targetBody({ endpoint: 'http://10.0.0.1' })]);
    await host.putTargets([], { headers: { 'if-match': '"9"' } });
    await host.putTargets([], { token: null });
    assert.deepEqual(host.logs, []);
  });
});

describe('request ids', () => {
  it('every answer has its own, errors included', async (t) => {
    const host = await startReplicationHost(t);
    const answers = [
      await host.getTargets(),
      await host.putTargets([targetBody()]),
      await host.putTargets([{}]),
      await host.getRules({ token: null }),
      await host.request('POST', targetsPath('photos')),
      await host.request('GET', targetsPath('missing')),
    ];
    const ids = answers.map((answer) => answer.headers.get('x-request-id') ?? '');
    for (const id of ids) assert.match(id, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    assert.equal(new Set(ids).size, ids.length);
  });

  it('an id that the caller sends is not taken over', async (t) => {
    const host = await startReplicationHost(t);
    const answer = await host.getTargets({ headers: { 'x-request-id': 'mine' } });
    assert.notEqual(answer.headers.get('x-request-id'), 'mine');
  });

  it('an unexpected failure is a 500 without its cause, which the log has under the id', async (t) => {
    const host = await startReplicationHost(t);
    const secret = uniqueSecret();
    t.mock.method(host.host, 'findBucket', async () => {
      throw new Error('the disk at /srv/alarik is on fire');
    });
    const answer = await host.putTargets([targetBody({ secretAccessKey: secret })]);
    assert.deepEqual([answer.status, answer.json.code], [500, 'InternalError']);
    assert.equal(/fire|srv|\.ts/.test(answer.text), false);
    const [line] = host.logs;
    assert.equal(line?.['requestId'], answer.headers.get('x-request-id'));
    assert.equal(line?.level, 'error');
    assert.match(host.logText(), /on fire/);
    assert.equal(host.logText().includes(secret), false);
  });
});
