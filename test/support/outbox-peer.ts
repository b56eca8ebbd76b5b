/**
 * The outbox of a server in a process of its own, as the other workers of a cluster have it: it does
 * what its parent asks for in messages. Arguments: the data directory, the sealing key in base64.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Outbox } from '../../src/model/ports.ts';
import { Keyring } from '../../src/sealing/keyring.ts';
import { createStore } from '../../src/store/store.ts';
import { openTables } from '../../src/store/tables.ts';

interface Cleanup {
  after(cleanup: () => void | Promise<void>): void;
}

/** What a peer is asked for. */
interface Request {
  readonly name: keyof Outbox;
  readonly args: readonly unknown[];
}

/** Calls one method of the peer's outbox, and resolves with what it answers, as JSON has it. */
export type AskPeer = <Name extends keyof Outbox>(
  name: Name,
  ...args: Parameters<Outbox[Name]>
) => Promise<Awaited<ReturnType<Outbox[Name]>>>;

export async function startPeer(t: Cleanup, dataDirectory: string, key: Buffer): Promise<AskPeer> {
  const child = fork(fileURLToPath(import.meta.url), [dataDirectory, key.toString('base64')], {
    execArgv: ['--import', 'tsx'],
  });
  t.after(async () => {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  });
  await once(child, 'message');
  return async (name, ...args) => {
    child.send({ name, args });
    const [answer] = (await once(child, 'message')) as [{ value: never }];
    return answer.value;
  };
}

async function serve(dataDirectory: string, key: string): Promise<void> {
  const tables = await openTables(dataDirectory);
  const { outbox } = createStore({ tables, keyring: new Keyring([Buffer.from(key, 'base64')]) });
  process.on('message', ({ name, args }: Request) => {
    const method = Reflect.get(outbox, name) as (...all: unknown[]) => Promise<unknown>;
    void method.apply(outbox, [...args]).then((value) => process.send?.({ value }));
  });
  process.send?.('ready');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await serve(process.argv[2] ?? '', process.argv[3] ?? '');
}
