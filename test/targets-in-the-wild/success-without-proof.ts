/**
 * Answers that sound like success, of proxies, captive portals, load balancers and services under
 * stress: only what the target keeps is delivered.
 */
import assert from 'node:assert/strict';
import {
  errorAnswer,
  htmlAnswer,
  xmlAnswer,
  type TargetAnswer,
} from '../support/fake-target/answer.ts';
import { altered, applied } from '../support/fake-target/reactions.ts';
import type { Operation } from '../support/fake-target/received-request.ts';
import type { Scene } from './scene.ts';
import type { WildCase } from './wild-case.ts';

const HTML = htmlAnswer(200, 'Please log in to this network');
const SLOW_DOWN: TargetAnswer = { ...errorAnswer(503, 'SlowDown'), status: 200 };
const BLANK: TargetAnswer = { status: 200 };
const LARGE = Buffer.alloc(9 * 1024 * 1024, 'x');

/** What the target says to a request, of which it does nothing. */
type Lie = readonly [name: string, answer: TargetAnswer];

const LIES_TO_PUT: readonly Lie[] = [
  ['200 with an HTML page', HTML],
  ['200 with <Error><Code>SlowDown', SLOW_DOWN],
  ['200 with nothing, no ETag', BLANK],
  ['202 Accepted', { status: 202 }],
  ['204 No Content', { status: 204 }],
  ['200 with JSON of a load balancer', { status: 200, body: '{"status":"ok"}' }],
  [
    '200 with the ETag of other bytes',
    { status: 200, headers: { etag: '"d41d8cd98f00b204e9800998ecf8427e"' } },
  ],
  ['203 of a transforming proxy', { ...HTML, status: 203 }],
];

const LIES_TO_DELETE: readonly Lie[] = [
  ['200 with an HTML page', HTML],
  ['200 with <Error><Code>InternalError', { ...errorAnswer(500, 'InternalError'), status: 200 }],
  ['202 Accepted', { status: 202 }],
  ['404 with an HTML page', htmlAnswer(404, 'Not found')],
];

/** Each object is lied about once and none is there; then the target heals by itself. */
const putCases = LIES_TO_PUT.map(([name, answer]): WildCase => ({
  name: `put of many objects: ${name}`,
  hooks: () => ({ whenWhole: ({ operation }) => (operation === 'put' ? answer : undefined) }),
  async play(scene) {
    const keys = await scene.putMany(answer === HTML ? 100 : 20);
    await scene.until(
      () => scene.target.requestsOf('put').length >= 5,
      () => 'some objects to be sent',
    );
    await scene.passSeconds(5);
    await nothingIsClaimed(scene, keys);
    scene.heal();
    await scene.converged();
  },
}));

const deleteCases = LIES_TO_DELETE.map(([name, answer]): WildCase => ({
  name: `delete: ${name}`,
  hooks: () => ({ whenWhole: ({ operation }) => (operation === 'delete' ? answer : undefined) }),
  async play(scene) {
    await scene.put('doomed', 'bytes');
    await scene.arrived();
    await scene.remove('doomed');
    await scene.until(
      () => scene.target.requestsOf('delete').length >= 1,
      () => 'the delete to be sent',
    );
    await scene.passSeconds(5);
    const { queued, failed } = await scene.status();
    assert.equal(queued + failed, 1, 'the delete is not done');
    scene.heal();
    await scene.converged();
  },
}));

const LIES_TO_PARTS: readonly (readonly [Operation, ...Lie])[] = [
  ['create', '200 with an HTML page', HTML],
  ['create', '200 with <Error>', SLOW_DOWN],
  ['part', '200 with an HTML page', HTML],
  ['part', '200 without ETag', BLANK],
  ['part', '202 Accepted', { status: 202 }],
  ['complete', '200 with an HTML page', HTML],
  [
    'complete',
    '200 with blanks and <Error>',
    { status: 200, body: '  \n <Error><Code>SlowDown</Code></Error>' },
  ],
  ['complete', '200 with nothing', BLANK],
  [
    'complete',
    '200 without an ETag, and nothing is made',
    xmlAnswer('<CompleteMultipartUploadResult></CompleteMultipartUploadResult>'),
  ],
];

/** As documented for CompleteMultipartUpload; scylladb#20517, aws-sdk-cpp#658, s3cmd#577, bun#34044. */
const multipartCases = LIES_TO_PARTS.map(([lying, name, answer]): WildCase => ({
  name: `multipart, ${lying}: ${name}`,
  hooks: () => ({ whenWhole: ({ operation }) => (operation === lying ? answer : undefined) }),
  async play(scene) {
    await scene.put('large', LARGE);
    await scene.until(
      () => scene.target.requestsOf(lying).length >= 1,
      () => `a request (${lying})`,
    );
    await scene.passSeconds(2);
    await nothingIsClaimed(scene, ['large']);
    scene.heal();
    await scene.converged();
  },
}));

async function nothingIsClaimed(scene: Scene, keys: readonly string[]): Promise<void> {
  const { queued, failed } = await scene.status();
  assert.equal(queued + failed, keys.length, 'nothing is delivered');
  for (const key of keys) assert.notEqual(await scene.header(key), 'COMPLETED', key);
}

const others: readonly WildCase[] = [
  {
    name: 'a captive portal answers everything, HEAD too, with 200 and its page',
    hooks: () => ({
      whenWhole: ({ method }) =>
        method === 'HEAD' ? { status: 200, headers: { 'content-length': '512' } } : HTML,
    }),
    async play(scene) {
      const keys = await scene.putMany(10);
      await scene.until(
        () => scene.target.requests.length > 0,
        () => 'a request',
      );
      await scene.passSeconds(10);
      await nothingIsClaimed(scene, keys);
      scene.heal();
      await scene.converged();
    },
  },
  {
    name: 'puts are lied about and HEAD is denied: a failure of the target, that shows',
    hooks: () => ({
      whenWhole: ({ operation }) =>
        operation === 'put' ? HTML : operation === 'head' ? { status: 403 } : undefined,
    }),
    async play(scene) {
      const keys = await scene.putMany(20);
      await scene.shows('an error', ({ lastError }) => lastError !== null);
      await nothingIsClaimed(scene, keys);
      scene.heal();
      await scene.converged();
    },
  },
  ...(
    [
      ['201 Created', (answer) => ({ ...answer, status: 201 })],
      ['200 without ETag', () => ({ status: 200 })],
      ['200 with an empty ETag', () => ({ status: 200, headers: { etag: '""' } })],
      ['200 with some JSON', (answer) => ({ ...answer, body: '{"ok":true}' })],
    ] as readonly (readonly [string, (answer: TargetAnswer) => TargetAnswer])[]
  ).map(([name, alter]): WildCase => ({
    name: `${name}, though the object is stored: HEAD proves it, and it is sent once`,
    hooks: () => ({
      whenWhole: ({ operation }) => (operation === 'put' ? altered(alter) : undefined),
    }),
    async play(scene) {
      await scene.put('photo', 'bytes');
      await scene.converged();
      assert.equal(scene.target.requestsOf('put').length, 1);
    },
  })),
  {
    name: 'a delete is done and answered with 202: HEAD shows that nothing is there',
    hooks: () => ({
      whenWhole: ({ operation }) => (operation === 'delete' ? applied({ status: 202 }) : undefined),
    }),
    async play(scene) {
      await scene.put('doomed', 'bytes');
      await scene.arrived();
      await scene.remove('doomed');
      await scene.converged();
    },
  },
  {
    name: 'a delete of what is not there: 404 NoSuchKey is a success',
    hooks: () => ({
      whenWhole: ({ operation }) =>
        operation === 'delete' ? applied(errorAnswer(404, 'NoSuchKey')) : undefined,
    }),
    async play(scene) {
      await scene.put('doomed', 'bytes');
      await scene.arrived();
      await scene.remove('doomed');
      await scene.converged();
      assert.equal(scene.target.requestsOf('delete').length, 1);
    },
  },
];

export const successWithoutProof: readonly WildCase[] = [
  ...putCases,
  ...deleteCases,
  ...multipartCases,
  ...others,
];
