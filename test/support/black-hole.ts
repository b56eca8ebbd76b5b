/**
 * An address of loopback that answers no attempt to connect: a process that listens, accepts nothing,
 * and whose queue of connections is full, so that the kernel drops what comes.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';

interface Cleanup {
  after(cleanup: () => void | Promise<void>): void;
}

const QUEUE = 4;
const LISTEN_AND_SLEEP = `
  const server = require('node:net').createServer();
  server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
    require('node:fs').writeSync(1, String(server.address().port) + '\\n');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  });
`;

/** Its port. */
export async function startBlackHole(t: Cleanup): Promise<number> {
  const child = spawn(process.execPath, ['-e', LISTEN_AND_SLEEP], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => void child.kill('SIGKILL'));
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const port = Number(line.toString());
  for (let filled = 0; filled < QUEUE; filled++) {
    const socket = connect({ host: '127.0.0.1', port });
    socket.on('error', () => undefined);
    t.after(() => void socket.destroy());
  }
  return port;
}
