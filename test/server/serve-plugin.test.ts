import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { logIn, startServer, type ServerProcess } from '../support/server-process.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';

const json = { 'Content-Type': 'application/json' };

describe('the plugin of a running server', () => {
  it('hears of deleted buckets, and its failure keeps none', async (t) => {
    const { server, headers, dataDirectory } = await startWith(t, { failOnDelete: true });
    await makeBucket(server, headers);
    const gone = await fetch(`${server.url}/api/v1/buckets/abc`, { method: 'DELETE', headers });
    assert.equal(gone.status, 204);
    assert.match(readFileSync(join(dataDirectory, 'probe.log'), 'utf8'), /"bucketDeleted":\{"id":/);
    await until(
      () => /plugin failed to forget a bucket/.test(server.stderr()),
      'the log to say so',
    );
    await server.stop();
  });

  it('may keep versioning enabled', async (t) => {
    const { server, headers } = await startWith(t, { keepVersioning: true });
    await makeBucket(server, headers);
    const response = await fetch(`${server.url}/api/v1/buckets/abc/versioning`, {
      method: 'PUT',
      headers,
      body: '{"status":"Suspended"}',
    });
    assert.equal(response.status, 409);
    assert.equal(((await response.json()) as { code: string }).code, 'InvalidBucketState');
    await server.stop();
  });

  it('makes the server not ready when it is ill', async (t) => {
    const { server } = await startWith(t, { unhealthy: true });
    const response = await fetch(`${server.url}/readyz`);
    assert.equal(response.status, 503);
    assert.match(await response.text(), /The probe was told to be ill/);
    assert.equal((await fetch(`${server.url}/livez`)).status, 200);
    await server.stop();
  });

  it('holds off a deletion while it works under the lock of the bucket', async (t) => {
    const { server, headers, dataDirectory } = await startWith(t, {});
    await makeBucket(server, headers);
    const socket = connect(server.port, '127.0.0.1');
    socket.write('POST /api/v1/buckets/abc/probe HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n');
    const log = (): string => readLog(dataDirectory);
    await until(() => log().includes('"locked":"abc"'), 'the probe to hold the lock');
    const deletion = fetch(`${server.url}/api/v1/buckets/abc`, { method: 'DELETE', headers });
    const listed = await fetch(`${server.url}/api/v1/buckets`, { headers });
    assert.match(await listed.text(), /"abc"/);
    assert.doesNotMatch(log(), /bucketDeleted/);
    socket.end('ok');
    assert.equal((await deletion).status, 204);
    assert.match(log(), /bucketDeleted/);
    await server.stop();
  });
});

async function startWith(
  t: { after(cleanup: () => void): void },
  options: object,
): Promise<{ server: ServerProcess; headers: Record<string, string>; dataDirectory: string }> {
  const directory = temporaryDirectory(t);
  const dataDirectory = join(directory, 'data');
  mkdirSync(dataDirectory);
  const file = join(directory, 'options.json');
  writeFileSync(file, JSON.stringify(options));
  const server = await startServer({ dataDirectory, args: ['--plugin-options', file] });
  return {
    server,
    headers: { ...json, Authorization: `Bearer ${await logIn(server.url)}` },
    dataDirectory,
  };
}

async function makeBucket(server: ServerProcess, headers: Record<string, string>): Promise<void> {
  const response = await fetch(`${server.url}/api/v1/buckets`, {
    method: 'POST',
    headers,
    body: '{"name":"abc","versioningEnabled":true}',
  });
  assert.equal(response.status, 201);
}

function readLog(dataDirectory: string): string {
  try {
    return readFileSync(join(dataDirectory, 'probe.log'), 'utf8');
  } catch {
    return '';
  }
}
