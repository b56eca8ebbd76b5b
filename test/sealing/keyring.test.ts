import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { Keyring, parseKeys } from '../../src/sealing/keyring.ts';

const CONTEXT = ['bucket', 'target'];
const refused = { code: 'CannotOpen' };

describe('keyring', () => {
  it('opens what it sealed, whatever the text', () => {
    const keyring = new Keyring([randomBytes(32)]);
    for (const secret of ['', 'a', '•'.repeat(8), 'x'.repeat(1024), '\u0000\ufffd😀']) {
      assert.equal(keyring.open(keyring.seal(secret, CONTEXT), CONTEXT), secret);
    }
  });

  it('the newest key seals, all open, by fingerprints that differ', () => {
    const [older, newer] = [randomBytes(32), randomBytes(32)];
    const before = new Keyring([older]);
    const after = new Keyring([newer, older]);
    const sealed = before.seal('secret', CONTEXT);
    assert.equal(after.open(sealed, CONTEXT), 'secret');
    assert.equal(after.seal('secret', CONTEXT).keyId, new Keyring([newer]).newestKeyId);
    assert.notEqual(after.newestKeyId, before.newestKeyId);
    assert.throws(() => new Keyring([newer]).open(sealed, CONTEXT), refused);
  });

  it('opens in the context alone in which it was sealed', () => {
    const keyring = new Keyring([randomBytes(32)]);
    const sealed = keyring.seal('secret', ['a', 'b']);
    for (const context of [[], ['a'], ['b', 'a'], ['a,b'], ['ab'], ['a', 'b', ''], ['a","b']]) {
      assert.throws(() => keyring.open(sealed, context), refused, JSON.stringify(context));
    }
  });

  it('notices each changed bit and every cut', () => {
    const keyring = new Keyring([randomBytes(32)]);
    const { keyId, box } = keyring.seal('secret', CONTEXT);
    for (let bit = 0; bit < box.length * 8; bit += 1) {
      const changed = Buffer.from(box);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      assert.throws(() => keyring.open({ keyId, box: changed }, CONTEXT), refused, `bit ${bit}`);
    }
    for (let length = 0; length < box.length; length += 1) {
      const cut = box.subarray(0, length);
      assert.throws(() => keyring.open({ keyId, box: cut }, CONTEXT), refused, `${length} bytes`);
    }
  });

  it('never uses a nonce twice', () => {
    const keyring = new Keyring([randomBytes(32)]);
    const nonces = Array.from({ length: 1000 }, () =>
      Buffer.from(keyring.seal('secret', CONTEXT).box.subarray(0, 12)).toString('hex'),
    );
    assert.equal(new Set(nonces).size, 1000);
  });

  it('reads keys between white space and commas, and tells which one is wrong, not what it is', () => {
    const [one, two] = [randomBytes(32), randomBytes(32)];
    const text = `\n${one.toString('base64')}, ${two.toString('base64')}\r\n`;
    assert.deepEqual(
      parseKeys(text).map((key) => Buffer.from(key)),
      [one, two],
    );
    const good = one.toString('base64');
    const wrong = [
      'c2hvcnQ=',
      `${good}=`,
      good.slice(0, -1),
      randomBytes(33).toString('base64'),
      '!',
    ];
    for (const word of wrong) {
      assert.throws(
        () => parseKeys(`${good} ${word}`),
        (error: Error) => {
          assert.match(error.message, /^Key 2 is not 32 bytes in base64/);
          return !error.message.includes(word) || word === '!';
        },
      );
    }
    assert.throws(() => parseKeys(' ,\n'), /There is no key/);
    assert.throws(() => new Keyring([]), /at least one key/);
  });
});
