/**
 * The command as it is built: the size of the thread pool is decided by how the process begins. Needs
 * `npm run build`, which `npm test` does first.
 */
import {
  CreateBucketCommand,
  GetObjectCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ADMIN } from '../support/server-process.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';
import { OWNER, REGION } from './s3/s3-server.ts';

const COMMAND = fileURLToPath(new URL('../../dist/start.cjs', import.meta.url));
/** More than libuv's default of four, and fewer than the command asks for. */
const STUCK_JOBS = 10;

/**
 * Starts the server with that many jobs of its pool stuck from its first turn on, as lookups are while
 * name servers do not answer: each opens a pipe that nobody writes to.
 */
function start(t: TestContext, environment: Readonly<Record<string, string>> = {}) {
  const directory = temporaryDirectory(t);
  const pipe = join(directory, 'pipe');
  execFileSync('mkfifo', [pipe]);
  const preload = join(directory, 'stick.cjs');
  writeFileSync(
    preload,
    `const { open } = require('node:fs');
     setImmediate(() => {
       for (let i = 0; i < ${STUCK_JOBS}; i += 1) open(${JSON.stringify(pipe)}, 'r', () => undefined);
     });`,
  );
  const args = [
    '--require',
    preload,
    COMMAND,
    'serve',
    '--port',
    '0',
    '--data',
    join(directory, 'data'),
  ];
  const child = spawn(process.execPath, args, {
    env: {
      PATH: process.env['PATH'],
      ADMIN_PASSWORD: ADMIN.password,
      DEFAULT_ACCESS_KEY: OWNER.accessKeyId,
      DEFAULT_SECRET_KEY: OWNER.secretAccessKey,
      ALARIK_REGION: REGION,
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  // The threads of a process that waits in a pipe are let go of by a writer, or by the end.
  t.after(() => child.kill('SIGKILL'));
  const unstick = (): void => closeSync(openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK));
  return { child, unstick, url: () => /listening on (http:\S+)/.exec(output)?.[1] };
}

describe('the thread pool of the command', () => {
  it('has room for files while ten jobs are stuck', async (t) => {
    const { child, url, unstick } = start(t);
    await until(() => url() !== undefined, 'the server to start');
    const s3 = new S3Client({
      endpoint: url()!,
      region: REGION,
      credentials: OWNER,
      forcePathStyle: true,
    });
    t.after(() => s3.destroy());
    await s3.send(new CreateBucketCommand({ Bucket: 'bucket' }));
    const object = { Bucket: 'bucket', Key: 'key' };
    const Body = Buffer.alloc(512 * 1024, 'x');
    await s3.send(new PutObjectCommand({ ...object, Body }));
    const { Body: stored } = await s3.send(new GetObjectCommand(object));
    assert.equal((await stored!.transformToByteArray()).length, Body.length);
    unstick();
    child.kill('SIGTERM');
    assert.deepEqual(await once(child, 'exit'), [0, null]);
  });

  it('is as large as the operator says', async (t) => {
    const { url, unstick } = start(t, { UV_THREADPOOL_SIZE: String(STUCK_JOBS) });
    // Every thread is stuck: whatever needs one waits until they are let go of.
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    assert.equal(url(), undefined);
    unstick();
    await until(() => url() !== undefined, 'the server to start');
  });
});
