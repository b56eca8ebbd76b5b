/** Redirects, which are never followed, and regions that are wrong, or that nobody checks. */
import assert from 'node:assert/strict';
import {
  errorAnswer,
  htmlAnswer,
  xmlAnswer,
  type TargetAnswer,
} from '../support/fake-target/answer.ts';
import { startFakeTarget } from '../support/fake-target/fake-target.ts';
import type { ReceivedRequest } from '../support/fake-target/received-request.ts';
import type { WildCase } from './wild-case.ts';

const regionError = (code: string, status: number, region: string): TargetAnswer =>
  xmlAnswer(
    `<Error><Code>${code}</Code><Message>Theirs.</Message><Region>${region}</Region></Error>`,
    status,
  );

/** What the target says while requests are signed for another region than its own, eu-central-1. */
const WRONG_REGION: readonly (readonly [name: string, TargetAnswer])[] = [
  [
    '400 AuthorizationHeaderMalformed with the region',
    regionError('AuthorizationHeaderMalformed', 400, 'eu-central-1'),
  ],
  [
    '301 PermanentRedirect with the region in a header',
    {
      ...errorAnswer(301, 'PermanentRedirect'),
      headers: { 'x-amz-bucket-region': 'eu-central-1' },
    },
  ],
];

const isSignedFor = ({ headers }: ReceivedRequest, region: string): boolean =>
  (headers.get('authorization') ?? '').includes(`/${region}/s3/`);

const wrongRegions = WRONG_REGION.map(([name, answer]): WildCase => ({
  name: `wrong region (${name}): the right one is named, and saving it delivers all`,
  hooks: () => ({
    whenWhole: (request) => (isSignedFor(request, 'eu-central-1') ? undefined : answer),
  }),
  async play(scene) {
    await scene.putMany(5);
    const { gapSince } = await scene.showsError(/eu-central-1/);
    assert.equal(gapSince, null);
    await scene.saveTarget({ region: 'eu-central-1' });
    await scene.converged(60);
  },
}));

/** Answers with a place to go to; `{}` stands for that place. */
const REDIRECTS: readonly (readonly [name: string, status: number, code: string | null])[] = [
  ['301 PermanentRedirect', 301, 'PermanentRedirect'],
  ['302 of a login page', 302, null],
  ['303 of a proxy', 303, null],
  ['307 TemporaryRedirect', 307, 'TemporaryRedirect'],
  ['308', 308, null],
];

const redirects = REDIRECTS.map(([name, status, code]): WildCase => ({
  name: `${name} to another host: it is not followed, and said`,
  async play(scene) {
    const closing: (() => void | Promise<void>)[] = [];
    const elsewhere = await startFakeTarget(
      { after: (close) => void closing.push(close) },
      { clock: scene.clock },
    );
    const answer = code === null ? htmlAnswer(status, 'Moved') : errorAnswer(status, code);
    scene.target.hooks = {
      whenWhole: ({ target }) => ({
        ...answer,
        headers: { ...answer.headers, location: elsewhere.url + target },
      }),
    };
    await scene.putMany(3);
    await scene.showsError(/another endpoint|region/);
    scene.heal();
    await scene.converged();
    assert.equal(elsewhere.accepted, 0, 'nobody went there');
    for (const close of closing) await close();
  },
}));

const others: readonly WildCase[] = [
  {
    name: 'the target does not check the region: any goes',
    options: { target: { region: 'nowhere-in-particular-9' } },
    async play(scene) {
      await scene.putMany(3);
      await scene.converged();
    },
  },
  {
    name: 'errors with an empty Message and no RequestId',
    hooks: () => ({
      whenWhole: () =>
        xmlAnswer('<Error><Code>NoSuchBucket</Code><Message></Message></Error>', 404),
    }),
    async play(scene) {
      await scene.put('photo', 'bytes');
      await scene.showsError(/bucket does not exist/);
      scene.heal();
      await scene.converged();
    },
  },
  {
    name: 'errors with a namespace, line breaks and a byte order mark',
    hooks: () => ({
      whenWhole: () => ({
        status: 404,
        body: '\ufeff<?xml version="1.0"?>\n<Error xmlns="http://s3.amazonaws.com/doc/2006-03-01/">\n  <Code>NoSuchBucket</Code>\n</Error>\n',
      }),
    }),
    async play(scene) {
      await scene.put('photo', 'bytes');
      await scene.showsError(/bucket does not exist/);
      scene.heal();
      await scene.converged();
    },
  },
  {
    name: 'an endpoint below a path: requests go there',
    async play(scene) {
      await scene.saveTarget({ endpoint: `${scene.target.url}/gateway/s3` });
      scene.target.hooks = {
        whenWhole: ({ target }) => {
          assert.match(target, /^\/gateway\/s3\/backup-bucket\//);
          return { status: 200, headers: { etag: '"4b3a6218bb3e3a7303e8a171a60fcf92"' } };
        },
      };
      await scene.put('photo', 'bytes');
      await scene.until(
        () => scene.target.requestsOf('put').length > 0,
        () => 'a request',
      );
    },
  },
];

export const redirectsAndRegions: readonly WildCase[] = [...wrongRegions, ...redirects, ...others];
