/** The scanner itself: a search that finds nothing proves nothing unless it finds what is there. */
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import { SecretScanner } from '../support/secret-scanner.ts';

const SECRET = 'Zk4tR9qWm"x7\\Vb2Lp/Yc8Ns%Jd5Hf&Gw3';
const KEY = Buffer.from('f3a1c29e57d40b8863ee915a0c7f24d1b96a380245fe7d1c', 'hex');

const hidden: Readonly<Record<string, string | Uint8Array>> = {
  'as it is': SECRET,
  'the ten characters that an error quotes': SECRET.slice(7, 17),
  'in JSON': JSON.stringify({ s: SECRET }),
  'in JSON inside JSON': JSON.stringify(JSON.stringify({ s: SECRET })),
  'in a URL': `?s=${encodeURIComponent(SECRET)}`,
  'in a form': new URLSearchParams({ s: SECRET }).toString(),
  'as base64': Buffer.from(SECRET).toString('base64'),
  'as base64, one byte later': Buffer.from(`x${SECRET}`).toString('base64'),
  'as base64, two bytes later': Buffer.from(`xx${SECRET}`).toString('base64url'),
  'as hex': Buffer.from(SECRET).toString('hex'),
  'as upper-case hex': Buffer.from(SECRET).toString('hex').toUpperCase(),
  'as UTF-16': Buffer.from(SECRET, 'utf16le'),
};
const hiddenKeys: Readonly<Record<string, string | Uint8Array>> = {
  'as bytes': KEY,
  'as hex': KEY.toString('hex'),
  'as base64': KEY.toString('base64'),
  'as base64url, one byte later': Buffer.concat([Buffer.of(1), KEY]).toString('base64url'),
};

function newScanner(): SecretScanner {
  const scanner = new SecretScanner();
  scanner.add('secret', SECRET);
  scanner.add('key', KEY);
  return scanner;
}

/** Between bytes that mean nothing. */
function surround(content: string | Uint8Array): Buffer {
  return Buffer.concat([randomBytes(999), Buffer.from(content as string), randomBytes(77)]);
}

describe('the scanner for secrets', () => {
  const scanner = newScanner();

  for (const [how, content] of Object.entries(hidden)) {
    it(`finds a text ${how}`, () => {
      const found = scanner.scan('here', surround(content));
      assert.deepEqual([...new Set(found.map(({ secret }) => secret))], ['secret']);
      assert.equal(found[0]?.place, 'here');
    });
  }

  for (const [how, content] of Object.entries(hiddenKeys)) {
    it(`finds a key ${how}`, () => {
      const found = scanner.scan('here', surround(content));
      assert.deepEqual([...new Set(found.map(({ secret }) => secret))], ['key']);
    });
  }

  it('finds nothing where there is nothing', () => {
    const innocent = [
      randomBytes(1_000_000),
      Buffer.from(randomBytes(300_000).toString('base64')),
      Buffer.from(Array.from({ length: 10_000 }, () => randomUUID()).join()),
    ];
    for (const content of innocent) assert.deepEqual(scanner.scan('here', content), []);
  });

  it('refuses a secret that chance could bring about', () => {
    assert.throws(() => scanner.add('short', 'abcdefghi'), /too short/);
  });
});
