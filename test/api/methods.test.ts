/** 405 with `Allow`, as JSON, for every method that Node's parser lets through, and HEAD as a GET without a body. */
import assert from 'node:assert/strict';
import { METHODS } from 'node:http';
import { after, describe, it } from 'node:test';
import { rawHead, sendRaw } from '../support/raw-http.ts';
import { rulesPath, targetsPath } from '../support/replication-bodies.ts';
import { startReplicationHost } from '../support/replication-host.ts';

// CONNECT never becomes a request: Node closes the connection.
const refused = METHODS.filter((method) => !['GET', 'HEAD', 'PUT', 'CONNECT'].includes(method));
const host = await startReplicationHost({ after });

describe('methods', () => {
  const resources = {
    targets: targetsPath('photos'),
    rules: rulesPath('photos'),
    'targets of no bucket': '/api/v1/buckets//replication/targets',
    'rules of no bucket': '/api/v1/buckets//replication/rules',
  };
  for (const [resource, path] of Object.entries(resources)) {
    it(`${resource}: 405 for ${refused.length} methods, PROPFIND and TRACE among them`, async () => {
      assert(refused.includes('PROPFIND') && refused.includes('TRACE'));
      for (const method of refused) {
        const answer = await sendRaw(host.url, rawHead(method, path, {}));
        assert.equal(answer.status, 405, method);
        assert.equal(answer.headers.get('allow'), 'GET, HEAD, PUT', method);
        assert.match(answer.headers.get('content-type') ?? '', /^application\/json/, method);
        assert.match(answer.headers.get('x-request-id') ?? '', /^[0-9a-f-]{36}$/, method);
        const body = JSON.parse(answer.body) as Record<string, unknown>;
        assert.deepEqual(
          [body['error'], body['code'], body['details']],
          [true, 'MethodNotAllowed', []],
          method,
        );
      }
    });
  }

  it('HEAD answers as GET without a body', async () => {
    const get = await host.getTargets();
    const head = await host.request('HEAD', targetsPath('photos'));
    assert.deepEqual([head.status, head.text], [200, '']);
    for (const name of ['etag', 'content-type', 'content-length', 'cache-control']) {
      assert.equal(head.headers.get(name), get.headers.get(name), name);
    }
  });

  it('paths beside the two resources are left to the host', async () => {
    for (const path of [
      '/api/v1/buckets/photos/replication',
      '/api/v1/buckets/photos/replication/other',
      '/api/v1/buckets/photos/replication/targets/1',
      '/API/v1/buckets/photos/replication/targets',
      '/',
    ]) {
      const answer = await host.request('GET', path);
      assert.deepEqual([answer.status, answer.text], [404, 'Not Found'], path);
    }
  });
});
