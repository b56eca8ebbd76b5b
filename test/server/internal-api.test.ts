import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { after, before, describe, it } from 'node:test';
import { ADMIN, logIn, startServer, type ServerProcess } from '../support/server-process.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Record<string, unknown>;
}

const ANN = { name: 'Ann', username: 'ann', password: 'password of ann' };
const BOB = { name: 'Bob', username: 'bob', password: 'password of bob' };

let server: ServerProcess;
let ann: string;
let bob: string;

describe('the internal API', () => {
  const dataDirectory = temporaryDirectory({ after });
  before(async () => {
    server = await startServer({
      dataDirectory,
      environment: { ALLOW_ACCOUNT_CREATION: 'true' },
    });
    for (const user of [ANN, BOB]) {
      assert.equal((await call('POST', '/api/v1/users', { body: user })).status, 201);
    }
    ann = await logIn(server.url, ANN);
    bob = await logIn(server.url, BOB);
  });
  after(() => server.stop());

  describe('users', () => {
    it('answers a new account without its password', async () => {
      const user = { name: 'Cid', username: 'cid', password: 'password of cid' };
      const { status, body } = await call('POST', '/api/v1/users', { body: user });
      assert.equal(status, 201);
      assert.deepEqual(Object.keys(body).sort(), ['id', 'name', 'username']);
      assert.match(String(body['id']), /^[0-9a-f-]{36}$/);
      const again = await call('POST', '/api/v1/users', { body: user });
      assert.equal(again.status, 409);
      assert.equal(again.body['code'], 'UsernameTaken');
    });

    it('names every field of an account that does not fit', async () => {
      const { status, body } = await call('POST', '/api/v1/users', {
        body: { name: '', username: 'a b', password: 'short' },
      });
      assert.equal(status, 400);
      assert.equal(body['code'], 'InvalidRequest');
      const details = body['details'] as { path: string; message: string }[];
      assert.deepEqual(details.map(({ path }) => path).sort(), ['/name', '/password', '/username']);
      for (const { message } of details) assert.match(message, /^must be /);
      assert.doesNotMatch(JSON.stringify(body), /short/);
    });

    it('does not tell a wrong password from an unknown user', async () => {
      const wrong = await call('POST', '/api/v1/users/login', {
        body: { username: 'ann', password: 'wrong' },
      });
      const unknown = await call('POST', '/api/v1/users/login', {
        body: { username: 'nobody', password: 'wrong' },
      });
      assert.equal(wrong.status, 401);
      assert.deepEqual(wrong.body, unknown.body);
      assert.equal(wrong.body['code'], 'InvalidCredentials');
    });

    it('holds back who keeps guessing, and lets everybody else in', async () => {
      const guess = { username: 'dan', password: 'guess' };
      const statuses: number[] = [];
      for (let i = 0; i < 6; i += 1) {
        const { status, headers } = await call('POST', '/api/v1/users/login', { body: guess });
        statuses.push(status);
        if (status === 429) assert.match(headers.get('Retry-After') ?? '', /^[1-9]\d*$/);
      }
      assert.deepEqual(statuses, [401, 401, 401, 401, 401, 429]);
      await logIn(server.url, ANN);
    });

    it('gives an access key its secret once', async () => {
      const made = await call('POST', '/api/v1/users/accessKeys', { token: ann });
      assert.equal(made.status, 201);
      assert.equal(made.headers.get('Cache-Control'), 'no-store');
      assert.equal(typeof made.body['secretAccessKey'], 'string');
      const listed = await call('GET', '/api/v1/users/accessKeys', { token: ann });
      assert.deepEqual(listed.body, {
        accessKeys: [{ accessKeyId: made.body['accessKeyId'], createdAt: made.body['createdAt'] }],
      });
      const others = await call('GET', '/api/v1/users/accessKeys', { token: bob });
      assert.deepEqual(others.body, { accessKeys: [] });
    });
  });

  describe('buckets', () => {
    it('go from their creation to their deletion', async () => {
      const made = await call('POST', '/api/v1/buckets', {
        token: ann,
        body: { name: 'photos', versioningEnabled: true },
      });
      assert.equal(made.status, 201);
      const { createdAt, ...rest } = made.body;
      assert.deepEqual(rest, { name: 'photos', versioning: 'Enabled' });
      assert.match(String(createdAt), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      const listed = await call('GET', '/api/v1/buckets', { token: ann });
      assert.deepEqual(listed.body, { buckets: [made.body] });
      assert.deepEqual((await call('GET', '/api/v1/buckets', { token: bob })).body, {
        buckets: [],
      });
      const gone = await call('DELETE', '/api/v1/buckets/photos', { token: ann });
      assert.equal(gone.status, 204);
      const again = await call('DELETE', '/api/v1/buckets/photos', { token: ann });
      assert.equal(again.status, 404);
      assert.equal(again.body['code'], 'NoSuchBucket');
    });

    it('keep no versions unless told to', async () => {
      const { body } = await call('POST', '/api/v1/buckets', {
        token: ann,
        body: { name: 'plain' },
      });
      assert.equal(body['versioning'], 'Disabled');
    });

    it('have a name once', async () => {
      const body = { name: 'taken', versioningEnabled: false };
      assert.equal((await call('POST', '/api/v1/buckets', { token: ann, body })).status, 201);
      const own = await call('POST', '/api/v1/buckets', { token: ann, body });
      const others = await call('POST', '/api/v1/buckets', { token: bob, body });
      assert.deepEqual([own.status, own.body['code']], [409, 'BucketAlreadyOwnedByYou']);
      assert.deepEqual([others.status, others.body['code']], [409, 'BucketAlreadyExists']);
    });

    it('are won by one of 100 who ask at once', async () => {
      const answers = await Promise.all(
        Array.from({ length: 100 }, (_, index) =>
          call('POST', '/api/v1/buckets', {
            token: index % 2 === 0 ? ann : bob,
            body: { name: 'contested', versioningEnabled: false },
          }),
        ),
      );
      const statuses = answers.map(({ status }) => status);
      assert.equal(statuses.filter((status) => status === 201).length, 1);
      assert.equal(statuses.filter((status) => status === 409).length, 99);
    });

    it('change their versioning', async () => {
      const path = '/api/v1/buckets/versioned/versioning';
      await call('POST', '/api/v1/buckets', { token: ann, body: { name: 'versioned' } });
      const read = async (): Promise<unknown> => (await call('GET', path, { token: ann })).body;
      assert.deepEqual(await read(), { status: 'Disabled' });
      for (const status of ['Enabled', 'Suspended', 'Enabled']) {
        const put = await call('PUT', path, { token: ann, body: { status } });
        assert.deepEqual([put.status, put.body], [200, { status }]);
        assert.deepEqual(await read(), { status });
      }
      const wrong = await call('PUT', path, { token: ann, body: { status: 'Disabled' } });
      assert.deepEqual([wrong.status, wrong.body['code']], [400, 'InvalidRequest']);
    });

    it('of others read like those that do not exist', async () => {
      await call('POST', '/api/v1/buckets', { token: ann, body: { name: 'of-ann' } });
      const admin = await logIn(server.url, ADMIN);
      for (const token of [bob, admin]) {
        for (const [method, path] of [
          ['DELETE', ''],
          ['GET', '/versioning'],
          ['PUT', '/versioning'],
        ] as const) {
          const body = method === 'PUT' ? { status: 'Enabled' } : undefined;
          const [theirs, missing] = await Promise.all(
            ['of-ann', 'missing'].map((name) =>
              call(method, `/api/v1/buckets/${name}${path}`, { token, body }),
            ),
          );
          assert.equal(theirs!.status, 404);
          assert.deepEqual(theirs!.body, missing!.body);
        }
      }
      const names = ['%2F', '%00', '%ff', 'x'.repeat(3000), '..%2f', 'A'];
      for (const name of names) {
        const { status } = await call('GET', `/api/v1/buckets/${name}/versioning`, { token: ann });
        assert.equal(status, 404, name.slice(0, 10));
      }
    });
  });

  describe('requests of the wrong kind', () => {
    const guarded: readonly [method: string, path: string][] = [
      ['GET', '/api/v1/users/accessKeys'],
      ['POST', '/api/v1/users/accessKeys'],
      ['GET', '/api/v1/buckets'],
      ['POST', '/api/v1/buckets'],
      ['DELETE', '/api/v1/buckets/photos'],
      ['GET', '/api/v1/buckets/photos/versioning'],
      ['PUT', '/api/v1/buckets/photos/versioning'],
    ];
    for (const [method, path] of guarded) {
      it(`${method} ${path} needs a token: 401`, async () => {
        for (const token of [undefined, 'nonsense', `${ann}x`]) {
          const { status, body, headers } = await call(method, path, { token });
          assert.deepEqual([status, body['code']], [401, 'Unauthenticated']);
          assert.equal(headers.get('WWW-Authenticate'), 'Bearer');
        }
      });
    }

    const bodies: readonly {
      what: string;
      status: number;
      code: string;
      type?: string;
      raw: string;
    }[] = [
      { what: 'text that is not JSON', status: 400, code: 'MalformedJSON', raw: '{' },
      { what: 'a bare string', status: 400, code: 'MalformedJSON', raw: '"x"' },
      { what: 'a list', status: 400, code: 'InvalidRequest', raw: '[]' },
      { what: 'an empty object', status: 400, code: 'InvalidRequest', raw: '{}' },
      { what: 'a name of the wrong type', status: 400, code: 'InvalidRequest', raw: '{"name":1}' },
      { what: 'a name that is none', status: 400, code: 'InvalidBucketName', raw: '{"name":"A"}' },
      { what: 'a reserved name', status: 400, code: 'InvalidBucketName', raw: '{"name":"api"}' },
      {
        what: 'another type',
        status: 415,
        code: 'UnsupportedMediaType',
        type: 'text/plain',
        raw: '{}',
      },
      {
        what: 'a form',
        status: 415,
        code: 'UnsupportedMediaType',
        type: 'application/x-www-form-urlencoded',
        raw: 'name=abc',
      },
      {
        what: 'over 1 MiB',
        status: 413,
        code: 'EntityTooLarge',
        raw: JSON.stringify({ name: 'x'.repeat(1 << 20) }),
      },
    ];
    for (const { what, status, code, type, raw } of bodies) {
      it(`a body of ${what}: ${status} ${code}`, async () => {
        const answer = await call('POST', '/api/v1/buckets', { token: ann, raw, type });
        assert.deepEqual([answer.status, answer.body['code']], [status, code]);
      });
    }

    const methods: readonly [method: string, path: string, allow: string][] = [
      ['GET', '/api/v1/users', 'POST'],
      ['GET', '/api/v1/users/login', 'POST'],
      ['DELETE', '/api/v1/users/accessKeys', 'GET, HEAD, POST'],
      ['PUT', '/api/v1/buckets', 'GET, HEAD, POST'],
      ['GET', '/api/v1/buckets/photos', 'DELETE'],
      ['PROPFIND', '/api/v1/buckets/photos', 'DELETE'],
      ['POST', '/api/v1/buckets/photos/versioning', 'GET, HEAD, PUT'],
      ['TRACE', '/api/v1/buckets', 'GET, HEAD, POST'],
      ['POST', '/livez', 'GET, HEAD'],
      ['POST', '/readyz', 'GET, HEAD'],
    ];
    for (const [method, path, allow] of methods) {
      it(`${method} ${path}: 405, allowed are ${allow}`, async () => {
        const answer = await rawCall(method, path);
        assert.equal(answer.status, 405);
        assert.equal(answer.allow, allow);
        assert.equal((JSON.parse(answer.text) as { code: string }).code, 'MethodNotAllowed');
      });
    }

    it('unknown paths of the API are a 404 in JSON', async () => {
      for (const path of ['/api', '/api/', '/api/v1/nothing', '/api/v1/buckets/a/b/c', '/api//x']) {
        const { status, body } = await call('GET', path, { token: ann });
        assert.deepEqual([status, body['code']], [404, 'NotFound'], path);
      }
    });

    it('what fails unexpectedly is a 500 that says nothing', async () => {
      const { status, body, headers } = await call('DELETE', '/api/v1/buckets/abc/probe', {});
      assert.equal(status, 500);
      assert.equal(body['code'], 'InternalError');
      assert.doesNotMatch(JSON.stringify(body), /probe|crash/);
      const id = headers.get('X-Request-Id')!;
      await until(
        () =>
          server
            .stderr()
            .split('\n')
            .some((line) => line.includes(id) && line.includes('crash')),
        'the log to say more',
      );
    });
  });

  it('shows the plugin who asks and which buckets there are', async () => {
    await call('POST', '/api/v1/buckets', { token: ann, body: { name: 'shown' } });
    const { body } = await call('GET', '/api/v1/buckets/shown/probe', { token: ann });
    const principal = body['principal'] as { userId: string; isAdmin: boolean };
    const bucket = body['bucket'] as { name: string; ownerId: string };
    assert.equal(principal.isAdmin, false);
    assert.equal(bucket.name, 'shown');
    assert.equal(bucket.ownerId, principal.userId);
    const admin = await logIn(server.url, ADMIN);
    const asAdmin = await call('GET', '/api/v1/buckets/none/probe', { token: admin });
    assert.equal((asAdmin.body['principal'] as { isAdmin: boolean }).isAdmin, true);
    assert.equal(asAdmin.body['bucket'], null);
    const asNobody = await call('GET', '/api/v1/buckets/none/probe', {});
    assert.equal(asNobody.body['principal'], null);
  });

  it('is alive and ready', async () => {
    assert.deepEqual((await call('GET', '/livez', {})).body, { status: 'ok' });
    const { status, body } = await call('GET', '/readyz', {});
    assert.equal(status, 200);
    assert.deepEqual(body, {
      status: 'ok',
      checks: [
        { name: 'database', healthy: true },
        { name: 'disk', healthy: true },
        { name: 'plugin', healthy: true },
      ],
    });
  });
});

async function call(
  method: string,
  path: string,
  options: {
    readonly token?: string | undefined;
    readonly body?: object | undefined;
    readonly raw?: string;
    readonly type?: string | undefined;
  },
): Promise<Answer> {
  const { token, body, type = 'application/json' } = options;
  const raw = options.raw ?? (body === undefined ? undefined : JSON.stringify(body));
  const response = await fetch(`${server.url}${path}`, {
    method,
    headers: {
      ...(raw === undefined ? {} : { 'Content-Type': type }),
      ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
    },
    ...(raw === undefined ? {} : { body: raw }),
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    body: (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>,
  };
}

/** For methods that fetch does not send. */
function rawCall(
  method: string,
  path: string,
): Promise<{ status: number; allow: string | undefined; text: string }> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(`${server.url}${path}`, { method }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, allow: response.headers.allow, text }),
      );
    });
    request.on('error', reject);
    request.end();
  });
}
