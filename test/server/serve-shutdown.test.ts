import {
  CreateBucketCommand,
  GetObjectCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import {
  logIn,
  REPLICATION_PLUGIN,
  startServer,
  type ServerProcess,
} from '../support/server-process.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';
import { OWNER, REGION } from './s3/s3-server.ts';
import { signedHead } from './s3/signed-request.ts';

/** What an end may take, and what a busy machine may add to it. */
const STOP_LIMIT_MS = 8_000;
const SLACK_MS = 1_900;

async function start(dataDirectory: string): Promise<ServerProcess> {
  return await startServer({
    dataDirectory,
    plugin: REPLICATION_PLUGIN,
    environment: {
      DEFAULT_ACCESS_KEY: OWNER.accessKeyId,
      DEFAULT_SECRET_KEY: OWNER.secretAccessKey,
      ALARIK_REGION: REGION,
    },
  });
}

function clientOf(t: TestContext, server: ServerProcess): S3Client {
  const client = new S3Client({
    endpoint: server.url,
    region: REGION,
    credentials: OWNER,
    forcePathStyle: true,
  });
  t.after(() => client.destroy());
  return client;
}

/** A server with one acknowledged object. */
async function setUp(t: TestContext) {
  const dataDirectory = temporaryDirectory(t);
  const server = await start(dataDirectory);
  const s3 = clientOf(t, server);
  await s3.send(new CreateBucketCommand({ Bucket: 'bucket' }));
  await s3.send(new PutObjectCommand({ Bucket: 'bucket', Key: 'acknowledged', Body: 'safe' }));
  return { dataDirectory, server, s3 };
}

/** Exit code 0, within the limit by the process's own log, nothing failed, and nothing is lost. */
async function assertGoodEnd(t: TestContext, server: ServerProcess, dataDirectory: string) {
  assert.deepEqual(await server.exited, { code: 0, signal: null }, server.stderr());
  const lines = server
    .stderr()
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as { level: number; time: string; msg: string });
  const timeOf = (text: string): number =>
    Date.parse(lines.find(({ msg }) => msg === text)?.time ?? '');
  const tookMs = timeOf('stopped') - timeOf('shutting down');
  assert.ok(tookMs < STOP_LIMIT_MS + SLACK_MS, `it took ${tookMs} ms`);
  assert.doesNotMatch(server.stderr(), /already closed|a request did not end/);
  const again = await start(dataDirectory);
  const { Body } = await clientOf(t, again).send(
    new GetObjectCommand({ Bucket: 'bucket', Key: 'acknowledged' }),
  );
  assert.equal(await Body?.transformToString(), 'safe');
  await again.stop();
  return tookMs;
}

/** An upload of 1 MB that sends a byte now and then and never gets there. */
async function startSlowUpload(t: TestContext, server: ServerProcess): Promise<Socket> {
  const socket = connect(server.port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.resume();
  socket.write(
    await signedHead({
      method: 'PUT',
      path: '/bucket/slow',
      headers: { 'content-length': '1000000' },
    }),
  );
  const drip = setInterval(() => void (socket.writable && socket.write('x')), 50);
  t.after(() => clearInterval(drip));
  socket.once('close', () => clearInterval(drip));
  await until(() => socket.bytesWritten > 500, 'the upload to begin');
  await (await fetch(`${server.url}/livez`, { headers: { Connection: 'close' } })).text();
  return socket;
}

describe('the end of the process', () => {
  it('cuts a slow upload', async (t) => {
    const { dataDirectory, server } = await setUp(t);
    await startSlowUpload(t, server);
    server.signal('SIGTERM');
    await assertGoodEnd(t, server, dataDirectory);
  });

  it('cuts a slow download', async (t) => {
    const { dataDirectory, server, s3 } = await setUp(t);
    const Body = Buffer.alloc(48 * 1024 * 1024);
    await s3.send(new PutObjectCommand({ Bucket: 'bucket', Key: 'large', Body }));
    const socket = connect(server.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(await signedHead({ path: '/bucket/large' }));
    await once(socket, 'data');
    socket.pause();
    server.signal('SIGTERM');
    await assertGoodEnd(t, server, dataDirectory);
    socket.destroy();
  });

  it('gives back a delivery to a target that does not answer', async (t) => {
    const { dataDirectory, server, s3 } = await setUp(t);
    const sockets: Socket[] = [];
    const target = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.resume();
      sockets.push(socket);
    }).listen(0, '127.0.0.1');
    t.after(() => {
      target.close();
      for (const socket of sockets) socket.destroy();
    });
    await once(target, 'listening');
    await replicateTo(server, s3, (target.address() as AddressInfo).port);
    await s3.send(new PutObjectCommand({ Bucket: 'bucket', Key: 'replicated', Body: 'x' }));
    await until(() => sockets.some(({ bytesRead }) => bytesRead > 0), 'the delivery to begin');
    server.signal('SIGTERM');
    await assertGoodEnd(t, server, dataDirectory);
  });

  it('comes at once, and in order, at a second signal', async (t) => {
    const { dataDirectory, server } = await setUp(t);
    const socket = await startSlowUpload(t, server);
    let isCut = false;
    socket.once('close', () => (isCut = true));
    server.signal('SIGTERM');
    await until(() => server.stderr().includes('shutting down'), 'the shutdown to begin');
    assert.equal(isCut, false, 'the first signal lets requests finish');
    server.signal('SIGTERM');
    const tookMs = await assertGoodEnd(t, server, dataDirectory);
    assert.ok(tookMs < STOP_LIMIT_MS / 2, `it took ${tookMs} ms, the grace of a first signal`);
  });
});

async function replicateTo(server: ServerProcess, s3: S3Client, port: number): Promise<void> {
  const VersioningConfiguration = { Status: 'Enabled' } as const;
  await s3.send(new PutBucketVersioningCommand({ Bucket: 'bucket', VersioningConfiguration }));
  const base = `${server.url}/api/v1/buckets/bucket/replication`;
  const headers = {
    'Content-Type': 'application/json',
    Authorization: `Bearer ${await logIn(server.url)}`,
  };
  const put = async (name: string, body: object): Promise<Record<string, { id: string }[]>> => {
    const answer = await fetch(`${base}/${name}`, {
      method: 'PUT',
      headers,
      body: JSON.stringify(body),
    });
    assert.equal(answer.status, 200, await answer.clone().text());
    return (await answer.json()) as Record<string, { id: string }[]>;
  };
  const id = '00000000-0000-0000-0000-000000000000';
  const { targets } = await put('targets', {
    targets: [
      {
        id,
        endpoint: `http://127.0.0.1:${port}`,
        targetBucket: 'copy',
        accessKeyId: 'key',
        secretAccessKey: 'secret-of-the-target',
        region: 'us-east-1',
        enabled: true,
      },
    ],
  });
  await put('rules', {
    rules: [
      {
        id,
        targetId: targets![0]!.id,
        prefix: '',
        replicateDeletes: false,
        replicateExisting: false,
        enabled: true,
      },
    ],
  });
}
