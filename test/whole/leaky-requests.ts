/** Requests that bring a secret to the server in every way, right and wrong, that people have. */
import { gzipSync } from 'node:zlib';
import {
  MASK,
  ruleBody,
  rulesPath,
  targetBody,
  targetsPath,
  uuid,
} from '../support/replication-bodies.ts';
import type { KnownSecrets } from './known-secrets.ts';
import type { RecordedRequest } from './recorded-server.ts';

const BODY_BYTES_MAX = 1024 * 1024;
const LOGIN = '/api/v1/users/login';

interface Place {
  /** A bucket of `token`'s user that keeps versions and has the target {@link KEPT_ID}. */
  readonly bucket: string;
  readonly token: string;
}

/** The target that the valid requests save; its secret is {@link targetRequests}' last valid one. */
export const KEPT_ID = uuid(1);

/** Every request is named; the secret in it has the same name. The last ones save {@link KEPT_ID}. */
export function targetRequests(secrets: KnownSecrets, place: Place): readonly RecordedRequest[] {
  const make = createMaker(secrets, place);
  return [malformedBodies, wrongFields, wrongEncodings, otherRequests].flatMap((kind) =>
    kind(make, place.bucket),
  );
}

type Describe = (
  secret: string,
) => Omit<RecordedRequest, 'name' | 'path'> & { readonly path?: string };

/** Ways to put a new secret, named `name`, into a PUT of targets. */
interface Maker {
  readonly put: (name: string, describe: Describe) => RecordedRequest;
  readonly malformed: (name: string, text: (secret: string) => string) => RecordedRequest;
  readonly field: (name: string, fields: (secret: string) => object) => RecordedRequest;
  /** A valid body under other headers. */
  readonly sent: (
    name: string,
    headers: Readonly<Record<string, string>>,
    encode?: (text: string) => Buffer,
  ) => RecordedRequest;
}

function createMaker(secrets: KnownSecrets, { bucket, token }: Place): Maker {
  const put = (name: string, describe: Describe): RecordedRequest => {
    const request = describe(secrets.make(name));
    return { name, method: 'PUT', path: targetsPath(bucket), token, ...request };
  };
  return {
    put,
    malformed: (name, text) => put(name, (secret) => ({ body: text(secret) })),
    field: (name, fields) => put(name, (secret) => ({ body: one(fields(secret)) })),
    sent: (name, headers, encode = (text) => Buffer.from(text)) =>
      put(name, (secret) => ({ headers, body: encode(valid(secret)) })),
  };
}

function one(fields: object): object {
  return { targets: [{ ...targetBody(), ...fields }] };
}

function valid(secretAccessKey: string): string {
  return JSON.stringify(one({ secretAccessKey }));
}

function malformedBodies({ malformed }: Maker): RecordedRequest[] {
  return [
    malformed('JSON that ends in the secret', (s) => valid(s).split(s.slice(20, 25))[0]!),
    malformed('JSON with a secret without quotes', (s) => `{"targets":[{"secretAccessKey":${s}}]}`),
    malformed(
      'JSON with a comma after the secret',
      (s) => `{"secretAccessKey":${JSON.stringify(s)},}`,
    ),
    malformed('JSON with a line break in the secret', (s) => `{"secretAccessKey":"\n${s}"}`),
    malformed('text that is only the secret', (s) => s),
    malformed('a JSON string that is the secret', (s) => JSON.stringify(s)),
    malformed('a list of the secret', (s) => JSON.stringify([s])),
  ];
}

function wrongFields({ put, field }: Maker): RecordedRequest[] {
  return [
    field('id', (id) => ({ id })),
    field('user of the endpoint', (s) => ({
      endpoint: `https://u:${encodeURIComponent(s)}@h.example`,
    })),
    field('query of the endpoint', (s) => ({ endpoint: `https://h.example/?k=${s}` })),
    field('targetBucket', (targetBucket) => ({ targetBucket })),
    field('accessKeyId', (accessKeyId) => ({ accessKeyId })),
    field('region', (region) => ({ region })),
    field('enabled', (enabled) => ({ enabled })),
    field('a secret with a space', (s) => ({ secretAccessKey: `${s} ` })),
    field('a secret in a list', (s) => ({ secretAccessKey: [s] })),
    field('a secret that is too long', (s) => ({ secretAccessKey: s.repeat(30) })),
    field('an unknown property', (s) => ({ password: s, [s]: s })),
    field('a private endpoint', (s) => ({ secretAccessKey: s, endpoint: 'http://10.0.0.1' })),
    put('five targets', (s) => ({
      body: { targets: Array(5).fill(targetBody({ secretAccessKey: s })) },
    })),
    put('beside a mask of nothing', (s) => ({
      body: {
        targets: [
          targetBody({ secretAccessKey: s }),
          targetBody({ id: uuid(9), secretAccessKey: MASK }),
        ],
      },
    })),
  ];
}

function wrongEncodings({ put, sent }: Maker): RecordedRequest[] {
  return [
    put('a body over 1 MiB', (s) => ({ body: valid(s).padEnd(BODY_BYTES_MAX + 1) })),
    sent('a body over 1 MiB once unpacked', { 'content-encoding': 'gzip' }, (text) =>
      gzipSync(text.padEnd(BODY_BYTES_MAX + 1)),
    ),
    sent('a packed body that is cut off', { 'content-encoding': 'gzip' }, (text) =>
      gzipSync(text, { level: 0 }).subarray(0, -12),
    ),
    sent('a body that is not packed', { 'content-encoding': 'gzip' }),
    sent('an unknown packing', { 'content-encoding': 'zstd' }),
    ...[
      'text/plain',
      'application/x-www-form-urlencoded',
      'application/vnd.api+json',
      'multipart/form-data; boundary=x',
    ].map((type) => sent(`the type ${type}`, { 'content-type': type })),
    sent('a charset that nobody uses', { 'content-type': 'application/json; charset=utf-32' }),
  ];
}

function otherRequests({ put, sent }: Maker, bucket: string): RecordedRequest[] {
  return [
    sent('a stale tag', { 'if-match': '"stale"' }),
    put('If-Match itself', (s) => ({ headers: { 'if-match': `"${s}` }, body: one({}) })),
    put('a query', (s) => ({
      path: `${targetsPath(bucket)}?key=${encodeURIComponent(s)}`,
      body: '{',
    })),
    put('another method', (s) => ({ method: 'POST', body: valid(s) })),
    put('no bucket', (s) => ({ path: targetsPath(''), body: valid(s) })),
    put('somebody else’s bucket', (s) => ({ path: targetsPath('elsewhere'), body: valid(s) })),
    put('an impossible bucket', (s) => ({ path: targetsPath('%00'), body: valid(s) })),
    put('a token', (s) => ({ headers: { authorization: `Bearer ${s}` }, body: one({}) })),
    put('a password of Basic', (s) => ({
      headers: { authorization: `Basic ${Buffer.from(`ann:${s}`).toString('base64')}` },
      body: one({}),
    })),
    put('a rule', (s) => ({
      path: rulesPath(bucket),
      body: { rules: [{ ...ruleBody({ targetId: uuid(9) }), secretAccessKey: s }] },
    })),
    put('malformed rules', (s) => ({ path: rulesPath(bucket), body: `{"rules":[${s}]}` })),
    sent('a valid packed body', { 'content-encoding': 'gzip' }, (text) =>
      gzipSync(text, { level: 0 }),
    ),
    put('a target, to be replaced', (s) => ({ body: one({ id: KEPT_ID, secretAccessKey: s }) })),
    put('a target, kept', (s) => ({ body: one({ id: KEPT_ID, secretAccessKey: s }) })),
  ];
}

/** The same for the server's own API and its S3 API. */
export function serverRequests(secrets: KnownSecrets, place: Place): readonly RecordedRequest[] {
  return [...accountRequests(secrets), ...bucketRequests(secrets, place)];
}

function post(
  secrets: KnownSecrets,
  name: string,
  path: string,
  body: (secret: string) => string | object,
  rest: Partial<RecordedRequest> = {},
): RecordedRequest {
  return { name, method: 'POST', path, body: body(secrets.make(name)), ...rest };
}

function accountRequests(secrets: KnownSecrets): RecordedRequest[] {
  const user = (password: unknown, fields: object = {}): object => ({
    name: 'N',
    username: 'n',
    password,
    ...fields,
  });
  return [
    post(secrets, 'a wrong password', LOGIN, (password) => ({ username: 'ann', password })),
    post(secrets, 'a password of nobody', LOGIN, (password) => ({ username: 'nobody', password })),
    post(secrets, 'a password for a user name', LOGIN, (username) => ({
      username,
      password: username,
    })),
    post(
      secrets,
      'a malformed login',
      LOGIN,
      (s) => `{"username":"ann","password":"${s.slice(0, 9)}\n${s}"}`,
    ),
    post(secrets, 'a login of a wrong type', LOGIN, (s) => ({ username: 'ann', password: [s] })),
    post(secrets, 'a login as a form', LOGIN, (s) => `password=${encodeURIComponent(s)}`, {
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    }),
    post(secrets, 'a login over 1 MiB', LOGIN, (password) => ({
      username: 'ann',
      password: password.repeat(30_000),
    })),
    post(
      secrets,
      'a login with a query',
      `${LOGIN}?p=${encodeURIComponent(secrets.make('a query of a login'))}`,
      (s) => s,
    ),
    post(secrets, 'a password of a taken name', '/api/v1/users', (s) =>
      user(s, { username: 'ann' }),
    ),
    post(secrets, 'a password of a bad name', '/api/v1/users', (s) => user(s, { username: ' ' })),
    post(secrets, 'a password that is too long', '/api/v1/users', (s) => user(s.repeat(30))),
    post(secrets, 'a malformed account', '/api/v1/users', (s) => `{"password":${s}}`),
    post(secrets, 'a name of an account that is a secret', '/api/v1/users', (s) =>
      user('short', { name: `\n${s}` }),
    ),
  ];
}

function bucketRequests(secrets: KnownSecrets, { bucket, token }: Place): RecordedRequest[] {
  const s3 = (name: string, describe: (secret: string) => Partial<RecordedRequest>) => ({
    name,
    path: `/${bucket}/key`,
    ...describe(secrets.make(name)),
  });
  return [
    post(secrets, 'a bucket', '/api/v1/buckets', (name) => ({ name }), { token }),
    post(secrets, 'a malformed bucket', '/api/v1/buckets', (s) => `{"name":${s}}`, { token }),
    post(
      secrets,
      'a versioning',
      `/api/v1/buckets/${bucket}/versioning`,
      (status) => ({ status }),
      {
        token,
        method: 'PUT',
      },
    ),
    post(secrets, 'a path that is not there', '/api/v1/nothing', (s) => s, { token }),
    s3('a signature', (s) => ({
      headers: {
        authorization: `AWS4-HMAC-SHA256 Credential=AK/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=${s}`,
      },
    })),
    s3('a session token', (s) => ({ headers: { 'x-amz-security-token': s } })),
    s3('a presigned query', (s) => ({
      path: `/${bucket}/key?X-Amz-Signature=${encodeURIComponent(s)}&X-Amz-Credential=${encodeURIComponent(s)}`,
    })),
    s3('a replication document', (s) => ({
      path: `/${bucket}?replication`,
      method: 'PUT',
      body: `<ReplicationConfiguration><Secret>${s}</Secret>`,
    })),
  ];
}
