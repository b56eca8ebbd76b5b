/**
 * Keys, metadata and headers that are odd and allowed. The target verifies signatures, in each of the
 * ways in which services read header values.
 */
import assert from 'node:assert/strict';
import { errorAnswer } from '../support/fake-target/answer.ts';
import type { TargetHooks } from '../support/fake-target/fake-target.ts';
import {
  asItCame,
  collapsingBlanks,
  collapsingSpaces,
  isSignedWith,
} from '../support/fake-target/signature.ts';
import { applied, reset } from '../support/fake-target/reactions.ts';
import type { Scene } from './scene.ts';
import type { WildCase } from './wild-case.ts';

const SECRET = 'a-secret-of-the-tests';

/** Refuses what any of the known services would refuse. */
const strict = (): TargetHooks => ({
  whenWhole: (request) =>
    [asItCame, collapsingBlanks, collapsingSpaces].every((canonical) =>
      isSignedWith(SECRET, request, canonical),
    )
      ? undefined
      : errorAnswer(403, 'SignatureDoesNotMatch'),
});

const KEYS: readonly string[] = [
  '/',
  '//a//b',
  'folder/',
  'a/../b',
  './x',
  '../etc/passwd',
  'a b+c',
  'a%2Fb',
  '100%',
  '?versionId=1&x=#y',
  'quote"\'<>&;',
  'back\\slash',
  '{a}[b]|c^d`e~',
  '\u00fc\u00df\u65e5\u672c\u8a9e',
  'e\u0301 beside \u00e9',
  '\u{1f600}/\u{1f4a9}',
  '*!()$@:=,',
  ' leading and trailing ',
  'tab\tand\nline break',
  '\u0001\u007f',
  'x'.repeat(1_024),
  'uploads',
  '%',
];

const keyCase: WildCase = {
  name: `${KEYS.length} odd keys: all arrive under exactly their names, and go when they are removed`,
  hooks: strict,
  async play(scene) {
    for (const key of KEYS) await scene.put(key, `the body of ${key}`);
    await scene.converged();
    assert.deepEqual([...scene.target.objects.keys()].sort(), [...KEYS].sort());
    for (const key of KEYS.slice(0, 10)) await scene.remove(key);
    await scene.converged();
    assert.deepEqual([...scene.target.objects.keys()].sort(), KEYS.slice(10).sort());
  },
};

const comparedKeys: WildCase = {
  name: 'odd keys whose answers are lost: each is found by HEAD, and sent once',
  hooks: () => ({
    whenWhole: ({ operation, nth }) =>
      operation === 'put' && nth === 1 ? applied(reset) : undefined,
  }),
  async play(scene) {
    for (const key of KEYS) await scene.put(key, `the body of ${key}`);
    await scene.converged();
    assert.equal(scene.target.requestsOf('put').length, KEYS.length);
  },
};

/** Values with runs of blanks: supabase/storage#1396, fog-aws#160, aws-sdk-cpp#670, aws-sdk-rust#248. */
const METADATA: readonly (readonly [name: string, Readonly<Record<string, string>>])[] = [
  ['a tab', { note: 'a\tb' }],
  ['several tabs and spaces', { note: 'a \t \t b' }],
  ['two spaces', { note: 'annual  report' }],
  ['spaces around', { note: '  padded  ' }],
  ['a tab at the end', { note: 'padded\t' }],
  ['an empty value', { note: '' }],
  ['UTF-8 as raw bytes', { note: Buffer.from('\u65e5\u672c').toString('latin1') }],
  ['an encoded word (RFC 2047)', { note: '=?UTF-8?B?5pel5pys?=' }],
  ['commas, quotes and semicolons', { note: 'a, "b"; c=d,,e' }],
  ['2 KB', { note: 'x'.repeat(2_000) }],
  ['40 names', Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`n${n}`, `v${n}`]))],
  ['names with dots, underscores and digits', { 'a_b.c-1': 'x', 'x!#$%': 'y' }],
];

const metadataCases = METADATA.map(([name, userMetadata]): WildCase => ({
  name: `metadata with ${name}: signed as it is sent, and it arrives`,
  hooks: strict,
  async play(scene) {
    await scene.put('photo', 'bytes', { userMetadata });
    await scene.put('large', Buffer.alloc(9 * 1024 * 1024, 'x'), { userMetadata });
    await scene.converged();
    for (const key of ['photo', 'large']) {
      const far = scene.target.objects.get(key)?.metadata ?? {};
      assert.deepEqual(collapsed(far), collapsed(userMetadata));
    }
  },
}));

/** Blanks at the ends are no part of a value, and runs of them inside may become one (RFC 9110 section 5.5). */
function collapsed(metadata: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(metadata).map(([name, value]) => [name, collapsingBlanks(value)]),
  );
}

const HEADERS: readonly (readonly [name: string, Readonly<Record<string, string>>])[] = [
  ['all of S3', allHeaders()],
  ['a content type with parameters', { 'content-type': 'text/plain;  charset="utf-8"' }],
  ['a content type that is none', { 'content-type': 'whatever' }],
  ['an Expires that is no date', { expires: 'never' }],
  ['a file name beyond ASCII', { 'content-disposition': "attachment; filename*=UTF-8''%e2%82%ac" }],
  ['gzip', { 'content-encoding': 'gzip', 'content-type': 'application/json' }],
];

const headerCases = HEADERS.map(([name, systemHeaders]): WildCase => ({
  name: `headers: ${name}`,
  hooks: strict,
  async play(scene) {
    await scene.put('photo', 'bytes', { systemHeaders });
    await scene.converged();
    const far = scene.target.objects.get('photo')?.headers ?? {};
    const wanted = { 'content-type': 'binary/octet-stream', ...systemHeaders };
    assert.deepEqual(collapsed(far), collapsed(wanted));
  },
}));

function allHeaders(): Readonly<Record<string, string>> {
  return {
    'content-type': 'image/png',
    'cache-control': 'max-age=60, private',
    'content-disposition': 'inline; filename="a b.png"',
    'content-encoding': 'gzip',
    'content-language': 'de, en-GB',
    expires: 'Wed, 21 Oct 2037 07:28:00 GMT',
  };
}

const others: readonly WildCase[] = [
  {
    name: 'empty objects, and objects of exactly 8 MiB and a byte more',
    hooks: strict,
    async play(scene) {
      const limit = 8 * 1024 * 1024;
      await scene.put('empty', '');
      await scene.put('exact', Buffer.alloc(limit, 'e'));
      await scene.put('more', Buffer.alloc(limit + 1, 'm'));
      await scene.converged();
    },
  },
  {
    name: 'tags with every character that S3 allows',
    hooks: strict,
    async play(scene) {
      const tags = { 'a b+c-d=e._:/@': 'x + y = z/@:._-', '\u00fc': '\u65e5\u672c', empty: '' };
      await scene.put('photo', 'bytes', { tags });
      await scene.converged();
      assert.deepEqual(farTags(scene), tags);
    },
  },
];

function farTags(scene: Scene): Readonly<Record<string, string>> | undefined {
  return scene.target.objects.get('photo')?.tags;
}

export const keysAndMetadata: readonly WildCase[] = [
  keyCase,
  comparedKeys,
  ...metadataCases,
  ...headerCases,
  ...others,
];
