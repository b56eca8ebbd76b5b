import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, statSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import {
  logIn,
  PROBE_PLUGIN,
  runCommand,
  startServer,
  type ServerProcess,
} from '../support/server-process.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';

const json = { 'Content-Type': 'application/json' };

describe('the process', () => {
  it('keeps whatever it acknowledged over SIGKILL', async (t) => {
    const dataDirectory = temporaryDirectory(t);
    const first = await startServer({ dataDirectory });
    const headers = { ...json, Authorization: `Bearer ${await logIn(first.url)}` };
    const created: string[] = [];
    let killed: Promise<unknown> | undefined;
    // Asks without a pause, and is killed in the middle of it.
    const ask = async (worker: number): Promise<void> => {
      for (let i = 0; ; i += 1) {
        const name = `bucket-${worker}-${i}`;
        try {
          const response = await fetch(`${first.url}/api/v1/buckets`, {
            method: 'POST',
            headers,
            body: JSON.stringify({ name, versioningEnabled: true }),
          });
          if (response.status === 201) created.push(name);
        } catch {
          return;
        }
        if (created.length >= 40) killed ??= first.kill();
      }
    };
    await Promise.all([0, 1, 2, 3].map(ask));
    await killed;
    const second = await startServer({ dataDirectory });
    // The token is still good: its secret was kept as well.
    const response = await fetch(`${second.url}/api/v1/buckets`, { headers });
    const { buckets } = (await response.json()) as { buckets: { name: string }[] };
    const names = new Set(buckets.map(({ name }) => name));
    assert.deepEqual(
      created.filter((name) => !names.has(name)),
      [],
    );
    assert.ok(created.length >= 40);
    assert.deepEqual(await second.stop(), { code: 0, signal: null });
  });

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`finishes a request that is under way at ${signal}, closes the plugin, and exits with 0`, async (t) => {
      const dataDirectory = temporaryDirectory(t);
      const server = await startServer({ dataDirectory });
      const token = await logIn(server.url);
      const first = sendHalf(server, token, 'first');
      const second = sendHalf(server, token, 'second');
      await halfSent(first.socket, server);
      await halfSent(second.socket, server);
      server.signal(signal);
      await until(() => server.stderr().includes('shutting down'), 'the shutdown to begin');
      await assert.rejects(fetch(`${server.url}/livez`), 'no new connection is taken');
      first.finish();
      await once(first.socket, 'close');
      // The end of the grace would close both.
      assert.equal(second.socket.closed, false, 'a connection stayed until the grace ended');
      second.finish();
      await once(second.socket, 'close');
      for (const { answer } of [first, second]) assert.match(answer(), /^HTTP\/1\.1 201 /);
      assert.deepEqual(await server.exited, { code: 0, signal: null });
      assert.match(readFileSync(join(dataDirectory, 'probe.log'), 'utf8'), /"closed":true/);
      assert.match(server.stderr(), /"stopped"/);
    });
  }

  it('does not wait for idle connections, and ends at once, in order, at a second signal', async (t) => {
    const server = await startServer({ dataDirectory: temporaryDirectory(t) });
    const idle = connect(server.port, '127.0.0.1');
    idle.write('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(idle, 'data');
    const stuck = connect(server.port, '127.0.0.1');
    stuck.on('error', () => undefined);
    stuck.write('POST /api/v1/buckets/abc/probe HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n');
    await halfSent(stuck, server);
    server.signal('SIGTERM');
    await once(idle, 'close');
    server.signal('SIGTERM');
    assert.deepEqual(await server.exited, { code: 0, signal: null });
  });

  it('refuses a port that is taken, and leaves the disk alone', async (t) => {
    const taken = createServer().listen(0, '127.0.0.1');
    t.after(() => taken.close());
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    const data = join(temporaryDirectory(t), 'data');
    const args = ['serve', '--port', String(port), '--data', data, '--plugin', PROBE_PLUGIN];
    const result = await runCommand(args);
    assert.equal(result.code, 1);
    assert.match(result.stderr, /EADDRINUSE/);
    assert.throws(() => statSync(data), { code: 'ENOENT' });
  });

  it('refuses a data directory that another server uses', async (t) => {
    const dataDirectory = temporaryDirectory(t);
    const server = await startServer({ dataDirectory });
    const args = ['serve', '--port', '0', '--data', dataDirectory, '--plugin', PROBE_PLUGIN];
    const second = await runCommand(args);
    assert.equal(second.code, 1);
    assert.match(second.stderr, /DirectoryInUse/);
    await logIn(server.url);
    await server.stop();
  });
});

/** Begins to create a bucket over a connection of its own. */
function sendHalf(server: ServerProcess, token: string, name: string) {
  const body = JSON.stringify({ name, versioningEnabled: false });
  const socket = connect(server.port, '127.0.0.1');
  let answer = '';
  socket.setEncoding('utf8').on('data', (text: string) => (answer += text));
  socket.write(
    `POST /api/v1/buckets HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, 5)}`,
  );
  return { socket, answer: () => answer, finish: () => void socket.write(body.slice(5)) };
}

/** Once another connection's request is answered, the server has read what this one sent before. */
async function halfSent(socket: { bytesWritten: number }, server: ServerProcess): Promise<void> {
  await until(() => socket.bytesWritten > 0, 'the first half to be sent');
  await (await fetch(`${server.url}/livez`, { headers: { Connection: 'close' } })).text();
}
