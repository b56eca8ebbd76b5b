/** Who holds a marker, and whose does not count any more. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { holdMarker, isMarkerHeld } from '../../src/lmdb/process-marker.ts';
import { readBootId, startTimeOf } from '../../src/lmdb/process-start.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';

describe('process markers', { skip: startTimeOf(process.pid) === null && 'no /proc' }, () => {
  it('one holds, the next gives way, and holds after it', (t) => {
    const path = join(temporaryDirectory(t), 'busy');
    const release = holdMarker(path);
    assert.notEqual(release, null);
    assert.equal(holdMarker(path), null);
    assert.equal(isMarkerHeld(path), true);
    release!();
    assert.equal(isMarkerHeld(path), false);
    holdMarker(path)!();
    assert.deepEqual(readdirSync(join(path, '..')), []);
  });

  const start = startTimeOf(process.pid);
  const LEFT: Readonly<Record<string, string>> = {
    'a process that is gone': `999999999_1_${readBootId()}_1`,
    'an earlier process of the same pid': `${process.pid}_1_${readBootId()}_1`,
    'the same pid and tick, before the machine started again': `${process.pid}_${start}_earlier_1`,
    'nobody, as it is no name of ours': 'x',
  };
  for (const [whose, name] of Object.entries(LEFT)) {
    it(`a marker of ${whose} does not count, and goes with the next holder`, (t) => {
      const directory = temporaryDirectory(t);
      const path = join(directory, 'busy');
      writeFileSync(`${path}.${name}`, '');
      assert.equal(isMarkerHeld(path), false);
      assert.equal(readdirSync(directory).length, 1, 'who only looks changes nothing');
      holdMarker(path)!();
      assert.deepEqual(readdirSync(directory), []);
    });
  }

  it('a holder that was killed and that nobody waits for does not count', async (t) => {
    const directory = temporaryDirectory(t);
    const path = join(directory, 'busy');
    // The shell becomes a program that never waits for its child, which stays a zombie.
    const shell = spawn('sh', ['-c', 'sh -c "echo \\$\\$; exec sleep 1000" & exec sleep 1000']);
    t.after(() => shell.kill('SIGKILL'));
    const pid = Number(
      await new Promise((resolve) => shell.stdout.once('data', (text) => resolve(String(text)))),
    );
    writeFileSync(`${path}.${pid}_${startTimeOf(pid)}_${readBootId()}_1`, '');
    assert.equal(isMarkerHeld(path), true);
    process.kill(pid, 'SIGKILL');
    await until(() => / Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8')), 'the zombie');
    assert.equal(isMarkerHeld(path), false);
  });
});
