import assert from 'node:assert/strict';
import { chmodSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { readOrCreateSecret } from '../../src/sealing/secret-file.ts';
import { runProgram } from '../support/child-process.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const CONTENDERS = 4;

describe('secret file', () => {
  it('is made once, for its owner alone, and read ever after', (t) => {
    const directory = temporaryDirectory(t);
    const before = process.umask(0);
    t.after(() => process.umask(before));
    const path = join(directory, 'secret');
    const secret = readOrCreateSecret(path);
    assert.equal(Buffer.from(secret, 'base64').length, 32);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(readOrCreateSecret(path), secret);
    assert.deepEqual(readdirSync(directory), ['secret']);
    assert.notEqual(readOrCreateSecret(join(directory, 'other')), secret);
  });

  it('an existing file is taken as it is, without white space around', (t) => {
    const path = join(temporaryDirectory(t), 'secret');
    writeFileSync(path, ' anything at all \n', { mode: 0o600 });
    assert.equal(readOrCreateSecret(path), 'anything at all');
  });

  it('a file that the world can read is refused, one that the group can read warns', (t) => {
    const path = join(temporaryDirectory(t), 'secret');
    writeFileSync(path, 'precious');
    const warnings: string[] = [];
    for (const mode of [0o644, 0o604, 0o602, 0o601, 0o666]) {
      chmodSync(path, mode);
      assert.throws(
        () => readOrCreateSecret(path, (message) => warnings.push(message)),
        (error: Error) => {
          assert.match(error.message, /chmod 600 .*defaultMode: 0400/);
          assert.equal(error.message.includes('precious'), false);
          return true;
        },
      );
    }
    assert.equal(warnings.length, 0);
    chmodSync(path, 0o440);
    assert.equal(
      readOrCreateSecret(path, (message) => warnings.push(message)),
      'precious',
    );
    assert.equal(warnings.length, 1);
    assert.match(warnings.join(), /group .*chmod 600/);
  });

  it('all who start at once read the same secret, and leave no other file', async (t) => {
    const directory = temporaryDirectory(t);
    const path = join(directory, 'secret');
    const contenders = Array.from({ length: CONTENDERS }, () =>
      runProgram('print-secret.ts', [path]),
    );
    const ended = await Promise.all(contenders);
    const printed = new Set(ended.map(({ stdout }) => stdout.trim()));
    assert.deepEqual([...printed], [readOrCreateSecret(path)]);
    assert.deepEqual(readdirSync(directory), ['secret']);
  });
});
