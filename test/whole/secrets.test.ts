/**
 * No secret is found where it has no business: a server with the real plugin is fed a secret in every
 * place where people put one, rightly or wrongly, is killed, gets new sealing keys, is backed up and
 * fails in several ways; then every byte that it left or said is looked through.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { boxContext } from '../../src/store/secret-boxes.ts';
import { Keyring, parseKeys } from '../../src/sealing/keyring.ts';
import {
  ruleBody,
  rulesPath,
  targetBody,
  targetsPath,
  uuid,
} from '../support/replication-bodies.ts';
import { connectS3 } from '../support/s3-sdk.ts';
import { readStoredRecord, readStoredRecords } from '../support/stored-records.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';
import { startEchoingTarget, type EchoingTarget } from './echoing-target.ts';
import { KEPT_ID, serverRequests, targetRequests } from './leaky-requests.ts';
import { KEYS_VARIABLE, SecretSite } from './secret-site.ts';

/** What the requests must bring about; a code that is missing here was not looked through. */
const CODES = [
  ...['Unauthenticated', 'MissingBucketName', 'NoSuchBucket', 'EntityTooLarge', 'MalformedJSON'],
  ...['UnsupportedMediaType', 'InvalidRequest', 'EndpointNotAllowed', 'InvalidPrecondition'],
  ...['PreconditionFailed', 'MethodNotAllowed', 'InvalidCredentials', 'UsernameTaken'],
  ...['InvalidBucketName', 'NotFound', 'TooManyRequests', 'NotImplemented'],
];

/** The whole list: who shows or holds which secret, and rightly so. */
const RIGHTFUL_PLACES = {
  'generated password': ['life 1, stdout'],
  'token, login of alarik in life 1': ['answer: login of alarik in life 1'],
  'token, login of ann in life 1': ['answer: login of ann in life 1'],
  'access key of ann': ['answer: an access key'],
  'token, login of alarik in life 2': ['answer: login of alarik in life 2'],
  'token, login of ann in life 3': ['answer: login of ann in life 3'],
  'first sealing key': ['data/replication.key'],
  'token secret of the server': ['data/jwt.secret'],
  'key of the server': ['data/server.key'],
};

/** In the announcement: once for people, once in the command that logs in. */
const PASSWORD_SHOWN = 2;
const LOGIN_TRIES_MAX = 12;

describe('secrets', () => {
  it('stay where they belong', async (t) => {
    const site = new SecretSite(temporaryDirectory(t));
    const target = await startEchoingTarget(t);
    const secondKey = randomBytes(32).toString('base64');
    await firstLife(site, target);
    await rotateKeys(site, secondKey);
    await loseKeys(site, secondKey);
    for (const text of target.received) site.said.push({ place: 'request to a target', text });

    const unseen = CODES.filter((code) => !site.server.codes.has(code));
    assert.deepEqual(unseen, [], 'codes that no request brought about');
    t.diagnostic(`${site.secrets.count} secrets, ${site.server.answers.length} answers`);
    assert.deepEqual(site.findPlaces(), RIGHTFUL_PLACES);

    const planted = site.secrets.make('planted');
    appendFileSync(join(site.data, 'replication', 'data.mdb'), planted.slice(12, 24));
    assert.deepEqual(site.findPlaces(), {
      ...RIGHTFUL_PLACES,
      planted: ['data/replication/data.mdb'],
    });
  });
});

/** Generated password and keys; every request; a delivery; ends in SIGKILL. */
async function firstLife(site: SecretSite, target: EchoingTarget): Promise<void> {
  const { secrets, server } = site;
  const defaultKey = secrets.make('default secret key');
  await site.start({
    JWT: secrets.make('token secret of the operator'),
    DEFAULT_ACCESS_KEY: 'AKDEFAULT',
    DEFAULT_SECRET_KEY: defaultKey,
  });
  const password = /Password: +(\S+) /.exec(site.stdout)?.[1] ?? '';
  secrets.know('generated password', password);
  assert.equal(site.stdout.split(password).length - 1, PASSWORD_SHOWN);
  const admin = await site.logIn({ username: 'alarik', password });
  const ann = await makeAnn(site);
  const place = { bucket: 'vault', token: ann };
  for (const [name, token] of [
    ['vault', ann],
    ['elsewhere', admin],
    ['sent', admin],
  ] as const) {
    const body = { name, versioningEnabled: true };
    await server.send({ name: 'a bucket', method: 'POST', path: '/api/v1/buckets', token, body });
  }
  for (const request of [...targetRequests(secrets, place), ...serverRequests(secrets, place)]) {
    await server.send(request);
  }
  await guess(site);
  await deliver(site, admin, target, defaultKey);
  await site.end('kill');
  knowKey(site, 'first sealing key', readFileSync(join(site.data, 'replication.key'), 'utf8'));
}

async function makeAnn(site: SecretSite): Promise<string> {
  const { secrets, server } = site;
  const ann = { username: 'ann', password: secrets.make('password of ann') };
  const body = { name: 'Ann', ...ann };
  await server.send({ name: 'an account', method: 'POST', path: '/api/v1/users', body });
  const token = await site.logIn(ann);
  const path = '/api/v1/users/accessKeys';
  const made = await server.send({ name: 'an access key', method: 'POST', path, token });
  secrets.know('access key of ann', String(made.json['secretAccessKey']));
  await server.send({ name: 'the access keys', path, token });
  return token;
}

/** Until it has to wait. */
async function guess({ secrets, server }: SecretSite): Promise<void> {
  const body = { username: 'somebody', password: secrets.make('a password that is guessed') };
  for (let tries = 0; tries < LOGIN_TRIES_MAX; tries += 1) {
    await server.send({ name: 'a guess', method: 'POST', path: '/api/v1/users/login', body });
  }
}

/** One object on its way to a service that refuses it and repeats what it was sent. */
async function deliver(
  { secrets, server, url }: SecretSite,
  token: string,
  target: EchoingTarget,
  secretAccessKey: string,
): Promise<void> {
  const targets = [
    targetBody({
      id: uuid(1),
      endpoint: target.url,
      secretAccessKey: secrets.make('secret of a delivery'),
    }),
  ];
  const rules = [ruleBody({ targetId: uuid(1) })];
  const put = { name: 'what is sent', method: 'PUT', token };
  await server.send({ ...put, path: targetsPath('sent'), body: { targets } });
  await server.send({ ...put, path: rulesPath('sent'), body: { rules } });
  const s3 = connectS3({ url, region: 'us-east-1', accessKeyId: 'AKDEFAULT', secretAccessKey });
  await s3.send(new PutObjectCommand({ Bucket: 'sent', Key: 'key', Body: 'body' }));
  s3.destroy();
  const path = '/api/v1/buckets/sent/replication';
  await server.sendUntil({ name: 'tasks', path: `${path}/tasks`, token }, /"lastError":"/);
  await server.send({ name: 'status', path: `${path}/status`, token });
  assert.ok(target.received.some((text) => text.includes('AWS4-HMAC-SHA256')));
}

/** A new key before the old one, from the environment; a backup once everything is sealed anew. */
async function rotateKeys(site: SecretSite, secondKey: string): Promise<void> {
  const { data, secrets } = site;
  const firstKey = readFileSync(join(data, 'replication.key'), 'utf8');
  knowKey(site, 'second sealing key', secondKey);
  const password = secrets.make('password of the administrator');
  await site.start({ [KEYS_VARIABLE]: `${secondKey},${firstKey}`, ADMIN_PASSWORD: password });
  knowKey(site, 'token secret of the server', readFileSync(join(data, 'jwt.secret'), 'utf8'));
  knowKey(site, 'key of the server', readFileSync(join(data, 'server.key'), 'utf8'));
  await site.logIn({ username: 'alarik', password });
  const { newestKeyId } = new Keyring(parseKeys(secondKey));
  await until(async () => {
    const { configurations } = await readStoredRecords(data);
    const targets = [...configurations.values()].flatMap((record) => record.targets);
    return targets.length > 1 && targets.every(({ secret }) => secret.keyId === newestKeyId);
  }, 'all secrets to be sealed under the second key');
  const backup = ['backup', '--data', data, '--to', join(site.directory, 'backup')];
  assert.equal((await site.run(backup)).code, 0);
  assert.equal((await site.run(backup)).code, 1, 'a second backup to the same place is refused');
  await site.end('stop');
}

/** A malformed key, a wrong one, and the right one alone at last. */
async function loseKeys(site: SecretSite, secondKey: string): Promise<void> {
  const { data, secrets, server } = site;
  const refused = await site.failToStart({ [KEYS_VARIABLE]: secondKey.slice(4) });
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, new RegExp(KEYS_VARIABLE));

  const wrongKey = randomBytes(32).toString('base64');
  knowKey(site, 'wrong sealing key', wrongKey);
  await site.start({ [KEYS_VARIABLE]: wrongKey });
  const token = await site.logIn({ username: 'ann', password: secrets.valueOf('password of ann') });
  await until(
    () => site.log.includes('the secret of this target does not open'),
    'the log to name the target',
  );
  const kept = await server.send({ name: 'targets', path: targetsPath('vault'), token });
  assert.equal(kept.status, 200);
  await site.end('stop');

  await site.start({ [KEYS_VARIABLE]: secondKey });
  await server.send({ name: 'targets', path: targetsPath('vault'), token });
  assert.doesNotMatch(site.log, /the secret of this target does not open/);
  await site.end('kill');
  const { bucketId, targets } = await readStoredRecord(data, 'vault');
  const stored = targets.find(({ id }) => id === KEPT_ID);
  assert.equal(
    new Keyring(parseKeys(secondKey)).open(stored!.secret, boxContext(bucketId, stored!)),
    secrets.valueOf('a target, kept'),
  );
}

/** As text and as the bytes that it stands for. */
function knowKey({ secrets }: SecretSite, name: string, text: string): void {
  secrets.know(name, text.trim());
  secrets.know(name, Buffer.from(text.trim(), 'base64'));
}
