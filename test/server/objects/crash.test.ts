/**
 * Kills a process in the middle of 200 concurrent writes and looks at what it left.
 */
import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { BucketRecord } from '../../../src/server/buckets.ts';
import type { ObjectStore } from '../../../src/server/objects/object-store.ts';
import { contentOf } from './crash-content.ts';
import { Random } from '../../simulation/random.ts';
import { seed } from '../../support/seed.ts';
import { openStore, read, storedFiles, withDirectory } from './object-fixture.ts';

const PROGRAM = fileURLToPath(new URL('put-many.ts', import.meta.url));
const CONCURRENCY = 200;
const CRASHES = 4;
const LINES_MAX = 2_500;
const random = new Random(seed);

type State = 'putting' | 'put' | 'deleting' | 'deleted';

/** Runs the program until it has printed that many lines; what it did last with each key. */
async function crash(directory: string, bucket: string, lines: number) {
  const args = ['--import', 'tsx', PROGRAM, directory, bucket, String(CONCURRENCY)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  let killed = false;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    if (killed || output.split('\n').length < lines) return;
    killed = true;
    child.kill('SIGKILL');
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  assert.deepEqual(
    [code, signal],
    [null, 'SIGKILL'],
    'the program ended only because it was killed',
  );
  const states = new Map<string, State>();
  for (const line of output.split('\n').slice(0, -1)) {
    const [state, key] = line.split(' ') as [State, string];
    states.set(key, state);
  }
  return states;
}

async function check(store: ObjectStore, bucket: BucketRecord, states: Map<string, State>) {
  let present = 0;
  for (const [key, state] of states) {
    const opened = await store.open(bucket, key);
    if (state === 'put') assert(opened !== null, `${key} was acknowledged`);
    if (state === 'deleted') assert.equal(opened, null, `the deletion of ${key} was acknowledged`);
    if (opened === null) continue;
    present += 1;
    const whole = (await read(opened.body)).equals(contentOf(key));
    assert(whole, `${key} (${state}) is whole`);
  }
  return present;
}

async function partsOf(store: ObjectStore, bucket: BucketRecord): Promise<number> {
  let parts = 0;
  for (const { key, uploadId } of (await store.listUploads(bucket, {})).uploads) {
    parts += (await store.listParts(bucket, key, uploadId, {})).parts.length;
  }
  return parts;
}

describe('a process killed amid 200 concurrent writes', () => {
  for (let run = 1; run <= CRASHES; run += 1) {
    const lines = random.between(CONCURRENCY, LINES_MAX);
    it(`leaves objects whole or absent and no stray file (after ${lines} lines)`, () =>
      withDirectory(async (directory) => {
        const before = await openStore(directory);
        const name = 'photos';
        const owner = { ownerId: 'somebody', versioningEnabled: false };
        const bucket = await before.buckets.create({ name, ...owner });
        await before.close();

        const states = await crash(directory, name, lines);
        const left = (await storedFiles(directory)).length;

        const { store, close } = await openStore(directory);
        const present = await check(store, bucket, states);
        const files = (await storedFiles(directory)).length;
        assert.equal(files, present + (await partsOf(store, bucket)), `of ${left} files`);
        await close();
      }));
  }
});
