/**
 * The specification of PUT /targets, line by line: its example, its answer, and each row of its error
 * table with every cause that the row names.
 */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { OTHER, OWNER } from '../support/koa-host.ts';
import { MASK, NEW_ID, targetBody, uuid } from '../support/replication-bodies.ts';
import { startReplicationHost } from '../support/replication-host.ts';

const host = await startReplicationHost({ after }, { system: { lookup: async () => ['8.8.8.8'] } });

/** As printed, four blanks of indentation and all. */
const EXAMPLE = `{
    "targets": [
        {
            "id": "00000000-0000-0000-0000-000000000000",
            "endpoint": "https://remote.example.com",
            "targetBucket": "backup-bucket",
            "accessKeyId": "AKIA...",
            "secretAccessKey": "...",
            "region": "us-east-1",
            "enabled": true
        }
    ]
}`;

describe('the example of the specification', () => {
  it('gives 200 with a server-assigned id, and GET gives the same answer', async () => {
    const saved = await host.putTargets([], { body: EXAMPLE });
    assert.equal(saved.status, 200, saved.text);
    const [{ id }] = saved.json.targets;
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.equal(
      saved.text,
      `{"targets":[{"id":"${id}","endpoint":"https://remote.example.com",` +
        `"targetBucket":"backup-bucket","accessKeyId":"AKIA...","secretAccessKey":"${MASK}",` +
        '"region":"us-east-1","enabled":true}]}',
    );
    const read = await host.getTargets();
    assert.deepEqual([read.status, read.text], [200, saved.text]);
    for (const name of ['etag', 'content-type', 'content-length', 'cache-control']) {
      assert.equal(read.headers.get(name), saved.headers.get(name), name);
    }
  });

  it('sent twice gives each time another id', async () => {
    const first = await host.putTargets([], { body: EXAMPLE });
    const second = await host.putTargets([], { body: EXAMPLE });
    assert.notEqual(first.json.targets[0].id, second.json.targets[0].id);
    assert.equal((await host.getTargets()).json.targets.length, 1);
  });
});

describe('the error table of the specification', () => {
  const five = Array.from({ length: 5 }, (_, n) => targetBody({ id: uuid(n + 1) }));
  const without = (field: string): object =>
    Object.fromEntries(Object.entries(targetBody()).filter(([name]) => name !== field));
  const invalid = {
    'no endpoint': [without('endpoint'), '/targets/0/endpoint'],
    'an endpoint that is no URL': [targetBody({ endpoint: 'remote' }), '/targets/0/endpoint'],
    'an endpoint of another scheme': [
      targetBody({ endpoint: 'ftp://192.0.2.1' }),
      '/targets/0/endpoint',
    ],
    'no destination bucket': [without('targetBucket'), '/targets/0/targetBucket'],
    'an empty destination bucket': [targetBody({ targetBucket: '' }), '/targets/0/targetBucket'],
    'no access key': [without('accessKeyId'), '/targets/0/accessKeyId'],
    'an empty access key': [targetBody({ accessKeyId: '' }), '/targets/0/accessKeyId'],
    'no secret': [without('secretAccessKey'), '/targets/0/secretAccessKey'],
    'an empty secret': [targetBody({ secretAccessKey: '' }), '/targets/0/secretAccessKey'],
    'no region': [without('region'), '/targets/0/region'],
    'no id': [without('id'), '/targets/0/id'],
    'no enabled': [without('enabled'), '/targets/0/enabled'],
  } as const;

  for (const [what, [target, path]] of Object.entries(invalid)) {
    it(`400: ${what}`, async () => {
      const answer = await host.putTargets([target]);
      assert.deepEqual([answer.status, answer.json.code], [400, 'InvalidRequest']);
      assert.deepEqual(
        answer.json.details.map((detail: { path: string }) => detail.path),
        [path],
      );
      assert.match(answer.json.reason, /^targets\.0\.\w+ (is required and )?must be /);
    });
  }

  it('400: more than 4 targets', async () => {
    const answer = await host.putTargets(five);
    assert.deepEqual(
      [answer.status, answer.json.details],
      [400, [{ path: '/targets', message: 'must be an array of at most 4 targets' }]],
    );
    assert.equal((await host.putTargets(five.slice(1))).json.targets.length, 4);
  });

  it('400: no bucket’s name', async () => {
    const answer = await host.request('PUT', '/api/v1/buckets//replication/targets', {
      body: EXAMPLE,
    });
    assert.deepEqual([answer.status, answer.json.code], [400, 'MissingBucketName']);
    assert.match(answer.json.reason, /\/api\/v1\/buckets\/<bucket>\/replication/);
  });

  it('403: a private, loopback or link-local endpoint of a non-administrator', async () => {
    const before = (await host.getTargets()).text;
    for (const endpoint of ['http://10.0.0.1', 'http://127.0.0.1', 'http://169.254.169.254']) {
      const answer = await host.putTargets([targetBody({ endpoint })]);
      assert.deepEqual([answer.status, answer.json.code], [403, 'EndpointNotAllowed']);
      assert.match(answer.json.reason, /only an administrator may set it/);
      assert.deepEqual(answer.json.details, [
        { path: '/targets/0/endpoint', message: 'must have public addresses only' },
      ]);
    }
    assert.equal((await host.getTargets()).text, before);
  });

  it('404: no bucket, or somebody else’s', async () => {
    const path = '/api/v1/buckets/nobodys/replication/targets';
    const missing = await host.request('PUT', path, { body: EXAMPLE, token: OWNER });
    const foreign = await host.putTargets([], { body: EXAMPLE, token: OTHER });
    assert.deepEqual([missing.status, foreign.status], [404, 404]);
    assert.equal(foreign.text, missing.text);
    assert.match(missing.json.reason, /no bucket of that name that belongs to you/);
  });

  it('an empty list removes all', async () => {
    await host.putTargets([targetBody({ id: NEW_ID })]);
    const answer = await host.putTargets([]);
    assert.deepEqual([answer.status, answer.text], [200, '{"targets":[]}']);
    assert.equal((await host.getTargets()).text, '{"targets":[]}');
  });
});
