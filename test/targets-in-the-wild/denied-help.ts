/**
 * Targets that refuse what only helps: HEAD, ListParts, tags, aborting. Objects arrive all the same,
 * and the status says what did not come along.
 */
import assert from 'node:assert/strict';
import { errorAnswer, htmlAnswer, type TargetAnswer } from '../support/fake-target/answer.ts';
import type { TargetHooks } from '../support/fake-target/fake-target.ts';
import { altered, applied, reset } from '../support/fake-target/reactions.ts';
import type { Operation, ReceivedRequest } from '../support/fake-target/received-request.ts';
import type { WildCase } from './wild-case.ts';

const MIB = 1024 * 1024;
const LARGE = Buffer.alloc(25 * MIB, 'x');
const TAGS = { project: 'north', year: '2024' };
/** As many and as long as S3 allows: encoded they are some 34 KB. */
const LONG_TAGS = Object.fromEntries(
  Array.from({ length: 10 }, (_, index) => [
    `${index}${'\u00e9'.repeat(127)}`,
    '\u65e5'.repeat(256),
  ]),
);

const refusing =
  (operation: Operation, answer: TargetAnswer, besides?: TargetHooks['whenWhole']) =>
  (): TargetHooks => ({
    whenWhole: (request) => (request.operation === operation ? answer : besides?.(request)),
  });

/** Each object is stored, and its first answer lost: the engine cannot know. */
const losingFirstAnswers = ({ operation, nth }: ReceivedRequest) =>
  operation === 'put' && nth === 1 ? applied(reset) : undefined;

/** A key that may write only; minio#13105. */
const headDenied = (
  [
    ['403', { status: 403 }],
    ['405', { status: 405 }],
    ['501', { status: 501 }],
  ] as const
).map(([name, answer]): WildCase => ({
  name: `HEAD is refused (${name}), and the answers to 30 objects are lost: all of them end`,
  hooks: refusing('head', answer, losingFirstAnswers),
  async play(scene) {
    await scene.putMany(30);
    await scene.converged();
  },
}));

const listPartsDenied = (
  [
    ['403 AccessDenied', errorAnswer(403, 'AccessDenied')],
    ['501 NotImplemented', errorAnswer(501, 'NotImplemented')],
    ['405 with HTML', htmlAnswer(405, 'Not allowed')],
    ['400 InvalidRequest', errorAnswer(400, 'InvalidRequest')],
  ] as const
).map(([name, answer]): WildCase => ({
  name: `ListParts is refused (${name}), and a part is reset: the upload begins anew`,
  hooks() {
    let partsSeen = 0;
    return refusing('list-parts', answer, ({ operation }) =>
      operation === 'part' && ++partsSeen === 2 ? reset : undefined,
    )();
  },
  async play(scene) {
    await scene.put('large', LARGE);
    await scene.converged();
    await scene.until(
      () => scene.target.uploads.unfinished.size === 0,
      () => 'the first upload to be aborted',
    );
  },
}));

/** medialit#158 and s3proxy#34 (Backblaze B2), yopass#3657, velero#9931 and tus-node-server#551 (Cloudflare R2). */
const REFUSALS_OF_TAGS: readonly (readonly [name: string, TargetAnswer])[] = [
  ["400 Unsupported header 'x-amz-tagging'", errorAnswer(400, 'InvalidArgument')],
  ['403 without the right to PutObjectTagging', errorAnswer(403, 'AccessDenied')],
  ['501 NotImplemented', errorAnswer(501, 'NotImplemented')],
];

const withTags = ({ headers }: ReceivedRequest): boolean => headers.has('x-amz-tagging');

const tagsRefused = REFUSALS_OF_TAGS.flatMap(([name, answer]): WildCase[] => [
  {
    name: `tags of an object: ${name}; it arrives without, and so does the next of its key`,
    hooks: () => ({ whenWhole: (request) => (withTags(request) ? answer : undefined) }),
    async play(scene) {
      await scene.put('photo', 'first', { tags: TAGS });
      await scene.converged(60);
      assert.deepEqual((await scene.status()).degraded, ['tags']);
      await scene.put('photo', 'second', { tags: TAGS });
      await scene.converged(60);
    },
  },
  {
    name: `tags of a large object: ${name}; it arrives without`,
    hooks: () => ({ whenWhole: (request) => (withTags(request) ? answer : undefined) }),
    async play(scene) {
      await scene.put('large', LARGE.subarray(0, 9 * MIB), { tags: TAGS });
      await scene.converged(60);
      assert.deepEqual((await scene.status()).degraded, ['tags']);
    },
  },
  {
    name: `tags of 30 objects: ${name}; that is remembered, and asked for no more`,
    hooks: () => ({ whenWhole: (request) => (withTags(request) ? answer : undefined) }),
    async play(scene) {
      await scene.put('first', 'bytes', { tags: TAGS });
      await scene.converged();
      const refusedBefore = scene.target.requests.filter(({ headers }) =>
        headers.has('x-amz-tagging'),
      ).length;
      for (let n = 0; n < 30; n++) await scene.put(`object-${n}`, 'bytes', { tags: TAGS });
      await scene.converged();
      const refused = scene.target.requests.filter(({ headers }) => headers.has('x-amz-tagging'));
      assert.ok(refused.length - refusedBefore <= 2, `${refused.length} requests with tags`);
    },
  },
]);

const others: readonly WildCase[] = [
  {
    name: 'tags are there, and a wrong signature is not taken for a refusal of them',
    hooks: () => ({
      whenWhole: ({ operation, nth }) =>
        operation === 'put' && nth <= 2 ? errorAnswer(403, 'SignatureDoesNotMatch') : undefined,
    }),
    async play(scene) {
      await scene.put('photo', 'bytes', { tags: TAGS });
      await scene.converged();
      assert.deepEqual(scene.target.objects.get('photo')?.tags, TAGS);
      assert.deepEqual((await scene.status()).degraded, []);
    },
  },
  {
    name: 'ten tags as long as S3 allows: they arrive, and no header is longer than others take',
    async play(scene) {
      await scene.put('photo', 'bytes', { tags: LONG_TAGS });
      await scene.converged();
      assert.deepEqual(scene.target.objects.get('photo')?.tags, LONG_TAGS);
      for (const { headers } of scene.target.requests) {
        const { length } = headers.get('x-amz-tagging') ?? '';
        assert.ok(length <= 2_048, `${length} bytes of tags in a header`);
      }
    },
  },
  {
    name: 'ten long tags of a large object arrive',
    async play(scene) {
      await scene.put('large', LARGE.subarray(0, 9 * MIB), { tags: LONG_TAGS });
      await scene.converged();
      assert.deepEqual(scene.target.objects.get('large')?.tags, LONG_TAGS);
    },
  },
  ...(['403', '501'] as const).map((status): WildCase => ({
    name: `ten long tags, and PutObjectTagging is refused (${status}): the object is there without`,
    hooks: refusing(
      'put-tags',
      status === '403' ? errorAnswer(403, 'AccessDenied') : errorAnswer(501, 'NotImplemented'),
    ),
    async play(scene) {
      await scene.put('photo', 'bytes', { tags: LONG_TAGS });
      await scene.converged();
      assert.deepEqual((await scene.status()).degraded, ['tags']);
    },
  })),
  {
    name: 'ten long tags, and PutObjectTagging answers 200 with an Error at first: they arrive',
    hooks: () => ({
      whenWhole: ({ operation, nth }) =>
        operation === 'put-tags' && nth === 1
          ? { ...errorAnswer(503, 'SlowDown'), status: 200 }
          : undefined,
    }),
    async play(scene) {
      await scene.put('photo', 'bytes', { tags: LONG_TAGS });
      await scene.converged();
      assert.deepEqual(scene.target.objects.get('photo')?.tags, LONG_TAGS);
    },
  },
  {
    name: 'a removal of tags is cut, at a target whose HEAD shows no tag count: they go all the same',
    hooks() {
      let puts = 0;
      return {
        whenWhole({ operation }) {
          if (operation === 'put' && ++puts === 2) return reset;
          return operation === 'head' ? altered(withoutTagCount) : undefined;
        },
      };
    },
    async play(scene) {
      await scene.put('photo', 'bytes', { tags: TAGS });
      await scene.arrived();
      await scene.put('photo', 'bytes');
      await scene.until(
        () => Object.keys(scene.target.objects.get('photo')?.tags ?? {}).length === 0,
        () => 'the tags to go',
      );
      await scene.converged();
      assert.deepEqual(scene.target.objects.get('photo')?.tags, {});
    },
  },
  {
    name: 'aborting uploads is denied: the object arrives, and the queue ends',
    hooks() {
      let parts = 0;
      return refusing('abort', errorAnswer(403, 'AccessDenied'), ({ operation }) =>
        operation === 'part' && ++parts === 1 ? errorAnswer(404, 'NoSuchUpload') : undefined,
      )();
    },
    async play(scene) {
      await scene.put('large', LARGE.subarray(0, 9 * MIB));
      await scene.converged();
    },
  },
];

function withoutTagCount({ headers = {}, ...answer }: TargetAnswer): TargetAnswer {
  const { 'x-amz-tagging-count': _count, ...others } = headers;
  return { ...answer, headers: others };
}

export const deniedHelp: readonly WildCase[] = [
  ...headDenied,
  ...listPartsDenied,
  ...tagsRefused,
  ...others,
];
