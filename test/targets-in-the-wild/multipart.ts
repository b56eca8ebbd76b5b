/**
 * Large objects at targets that lose answers, parts and uploads, give odd ETags, or none: the object
 * arrives byte for byte, and no upload of ours is left behind, while a stranger's stays.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { errorAnswer, xmlAnswer, type TargetAnswer } from '../support/fake-target/answer.ts';
import type { TargetHooks } from '../support/fake-target/fake-target.ts';
import { altered, applied, reset, stall, type Reaction } from '../support/fake-target/reactions.ts';
import type { Operation, ReceivedRequest } from '../support/fake-target/received-request.ts';
import type { Scene } from './scene.ts';
import type { WildCase } from './wild-case.ts';

const MIB = 1024 * 1024;
/** Two parts, and four. */
const TWO_PARTS = content(9 * MIB);
const FOUR_PARTS = content(25 * MIB);

/** What happens to the first `times` requests of an operation. */
const atFirst = (operation: Operation, times: number, reaction: Reaction) => (): TargetHooks => {
  let seen = 0;
  return {
    whenWhole: (request) =>
      request.operation === operation && ++seen <= times ? reaction : undefined,
  };
};

/** Bytes that repeat nowhere near the size of a part, so that a part in a wrong place shows. */
function content(size: number): Buffer {
  const block = createHash('sha512').update('content').digest();
  const bytes = Buffer.alloc(size, block);
  for (let at = 0; at + 4 <= size; at += 64 * 1024) bytes.writeUInt32BE(at, at);
  return bytes;
}

async function noneLeft(scene: Scene): Promise<void> {
  await scene.until(
    () => scene.target.uploads.unfinished.size === 0,
    () => `unfinished uploads to be aborted (${scene.target.uploads.unfinished.size} are left)`,
  );
}

/** rustfs#6854, rustfs#6840: each of these is billed for ever. */
const lostAnswers: readonly WildCase[] = [
  ...(
    [
      ['RST', reset],
      ['FIN', ({ socket }) => void socket.end()],
      ['500', errorAnswer(500, 'InternalError')],
      ['silence', stall],
    ] as readonly (readonly [string, Reaction])[]
  ).map(([name, reaction]): WildCase => ({
    name: `three creations are done and not answered (${name}): no upload is left`,
    hooks: atFirst('create', 3, applied(reaction)),
    async play(scene) {
      await scene.put('large', TWO_PARTS);
      await scene.arrived();
      await noneLeft(scene);
      await scene.converged();
    },
  })),
  {
    name: "a creation is not answered, and a stranger's upload of the key is older: that one stays",
    hooks: atFirst('create', 1, applied(reset)),
    async play(scene) {
      const stranger = scene.target.uploads.begin('large');
      await scene.passSeconds(30);
      await scene.put('large', TWO_PARTS);
      await scene.converged();
      await scene.until(
        () => scene.target.uploads.unfinished.size === 1,
        () => 'our own upload to be aborted',
      );
      assert.deepEqual([...scene.target.uploads.unfinished.keys()], [stranger]);
    },
  },
  {
    name: 'a creation is not answered, and a stranger begins one at the same time: neither is aborted',
    async play(scene) {
      let stranger = '';
      scene.target.hooks = atFirst('create', 1, (exchange) => {
        exchange.apply();
        stranger = scene.target.uploads.begin('large');
        exchange.socket.resetAndDestroy();
      })();
      await scene.put('large', TWO_PARTS);
      await scene.converged();
      await scene.passSeconds(300);
      assert.equal(scene.target.uploads.unfinished.has(stranger), true);
      assert.equal(scene.target.uploads.unfinished.size, 2);
    },
  },
  {
    name: "a stranger's upload of another key that begins with this one stays",
    hooks: atFirst('create', 1, applied(reset)),
    async play(scene) {
      await scene.put('large', TWO_PARTS);
      const stranger = scene.target.uploads.begin('large-too');
      await scene.converged();
      await scene.passSeconds(300);
      assert.equal(scene.target.uploads.unfinished.has(stranger), true);
    },
  },
  {
    name: 'a creation is not answered, and listing uploads is denied: the object arrives',
    hooks: () => ({
      whenWhole: ({ operation, nth }) => {
        if (operation === 'list-uploads') return errorAnswer(403, 'AccessDenied');
        return operation === 'create' && nth === 1 ? applied(reset) : undefined;
      },
    }),
    async play(scene) {
      await scene.put('large', TWO_PARTS);
      await scene.converged();
    },
  },
  {
    // leofs#736: the retry meets NoSuchUpload, though the object is there.
    name: 'a completion is done and its answer lost: the object is found, and not sent again',
    hooks: atFirst('complete', 1, applied(reset)),
    async play(scene) {
      await scene.put('large', TWO_PARTS);
      await scene.converged();
      // On a busy machine a part may take too long, and is sent again by itself.
      assert.ok(scene.target.requestsOf('part').length < 4, 'the object is not sent again');
    },
  },
  {
    name: 'an abort is lost: it is repeated until the upload is gone',
    hooks() {
      let parts = 0;
      const aborts = atFirst('abort', 2, reset)();
      return {
        whenWhole: (request) =>
          request.operation === 'part' && ++parts === 1
            ? errorAnswer(400, 'InvalidPart')
            : aborts.whenWhole?.(request),
      };
    },
    async play(scene) {
      await scene.put('large', TWO_PARTS);
      await scene.converged();
      await noneLeft(scene);
    },
  },
];

const lostParts: readonly WildCase[] = [
  {
    name: 'a part is reset: the upload is resumed, and what had arrived is not sent again',
    hooks() {
      let isCut = false;
      return {
        whenWhole({ operation, query }) {
          if (operation !== 'part' || query.get('partNumber') !== '4' || isCut) return undefined;
          isCut = true;
          return reset;
        },
      };
    },
    async play(scene) {
      await scene.put('large', FOUR_PARTS);
      await scene.converged();
      assert.equal(scene.target.requestsOf('create').length, 1);
      assert.ok(scene.target.requestsOf('part').length <= 7, 'most parts were sent once');
    },
  },
  {
    name: 'the target forgets a part that it acknowledged: InvalidPart at the end, then anew',
    hooks() {
      let isForgotten = false;
      return {
        whenWhole({ operation }) {
          if (operation !== 'part' || isForgotten) return undefined;
          isForgotten = true;
          return ({ socket, request: { body } }) => {
            const etag = createHash('md5').update(body).digest('hex');
            socket.write(`HTTP/1.1 200 OK\r\netag: "${etag}"\r\ncontent-length: 0\r\n\r\n`);
          };
        },
      };
    },
    async play(scene) {
      await scene.put('large', TWO_PARTS);
      await scene.converged();
      await noneLeft(scene);
    },
  },
  {
    // minio#17419.
    name: 'a lifecycle rule removes the upload in the middle: it begins anew',
    async play(scene) {
      scene.target.hooks = {
        whenWhole({ operation, query, nth }: ReceivedRequest) {
          if (operation === 'part' && query.get('partNumber') === '2' && nth <= 2) {
            scene.target.uploads.unfinished.clear();
          }
          return undefined;
        },
      };
      await scene.put('large', TWO_PARTS);
      await scene.converged();
    },
  },
  {
    name: 'parts listed with other sizes and ETags than those sent: they are sent again',
    hooks() {
      let parts = 0;
      return {
        whenWhole({ operation }) {
          if (operation === 'list-parts') {
            return xmlAnswer(
              '<ListPartsResult><IsTruncated>false</IsTruncated><Part><PartNumber>1</PartNumber><ETag>"00000000000000000000000000000000"</ETag><Size>8388608</Size></Part></ListPartsResult>',
            );
          }
          return operation === 'part' && ++parts === 2 ? reset : undefined;
        },
      };
    },
    async play(scene) {
      await scene.put('large', TWO_PARTS);
      await scene.converged();
    },
  },
];

const COMPLETE_ETAGS: readonly (readonly [name: string, (answer: TargetAnswer) => TargetAnswer])[] =
  [
    ['an empty ETag', withEtag('')],
    ['no ETag', withEtag(null)],
    [
      'an ETag without quotes',
      ({ body, ...rest }) => ({ ...rest, body: String(body).replaceAll('&quot;', '') }),
    ],
    ['an ETag of a making of its own', withEtag('"c3RyYW5nZQ=="')],
  ];

/** Seen at services that are compatible with S3 in their own ways. */
const completions = COMPLETE_ETAGS.map(([name, alter]): WildCase => ({
  name: `a completion is answered with ${name}: sent once`,
  hooks: () => ({
    whenWhole: ({ operation }) => (operation === 'complete' ? altered(alter) : undefined),
  }),
  async play(scene) {
    await scene.put('large', TWO_PARTS);
    await scene.converged();
    assert.equal(scene.target.requestsOf('complete').length, 1);
  },
}));

function withEtag(etag: string | null) {
  const element = etag === null ? '' : `<ETag>${etag}</ETag>`;
  return (): TargetAnswer =>
    xmlAnswer(`<CompleteMultipartUploadResult>${element}</CompleteMultipartUploadResult>`);
}

const others: readonly WildCase[] = [
  {
    name: 'ETags without quotes, of puts and parts',
    hooks: () => ({
      whenWhole: ({ operation }) =>
        operation === 'put' || operation === 'part'
          ? altered((answer) => {
              const etag = (answer.headers?.etag ?? '').replaceAll('"', '');
              return { ...answer, headers: { ...answer.headers, etag } };
            })
          : undefined,
    }),
    async play(scene) {
      await scene.put('photo', 'bytes');
      await scene.put('large', TWO_PARTS);
      await scene.converged();
      assert.equal(scene.target.requestsOf('put').length, 1);
      assert.equal(scene.target.requestsOf('part').length, 2);
    },
  },
  {
    name: 'encryption with keys of the service: ETags are of something else, and sent once',
    hooks: () => ({
      whenWhole: ({ operation }) =>
        operation === 'put' || operation === 'part'
          ? altered((answer) => ({
              ...answer,
              headers: {
                ...answer.headers,
                'x-amz-server-side-encryption': 'aws:kms',
                etag: answer.headers?.etag ?? '',
              },
            }))
          : undefined,
    }),
    async play(scene) {
      await scene.put('photo', 'bytes');
      await scene.put('large', TWO_PARTS);
      await scene.converged();
      assert.equal(scene.target.requestsOf('put').length, 1);
    },
  },
  {
    // arrow-rs#4965: the status goes out before the work is done.
    name: 'a completion is answered twice with 200 and InternalError: then it is completed',
    hooks: atFirst('complete', 2, { ...errorAnswer(500, 'InternalError'), status: 200 }),
    async play(scene) {
      await scene.put('large', TWO_PARTS);
      await scene.converged();
      await noneLeft(scene);
    },
  },
  {
    // ceph/s3-tests#728.
    name: 'the upload is unknown and the target says so with 500 at first',
    async play(scene) {
      scene.target.hooks = {
        whenWhole({ operation, nth }: ReceivedRequest) {
          if (operation !== 'complete' || nth > 1) return undefined;
          scene.target.uploads.unfinished.clear();
          return errorAnswer(500, 'InternalError');
        },
      };
      await scene.put('large', TWO_PARTS);
      await scene.converged();
    },
  },
  {
    name: 'the object is written again while its parts are sent: the newer one wins, no upload is left',
    async play(scene) {
      await scene.put('large', FOUR_PARTS);
      await scene.until(
        () => scene.target.requestsOf('part').length >= 1,
        () => 'a part',
      );
      await scene.put('large', TWO_PARTS);
      await scene.converged();
      await noneLeft(scene);
    },
  },
];

export const multipart: readonly WildCase[] = [
  ...lostAnswers,
  ...lostParts,
  ...completions,
  ...others,
];
