/**
 * One activation in a fresh process. The modules are loaded before the clock starts, as a host loads
 * a plugin before it activates it; what loading costs is told beside it.
 *
 * The peer opens the same number of databases in an empty environment and flushes one record: the
 * least that any plugin with a store of its own does.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { serveSubject } from '../harness/subject.ts';
import { createBenchHost } from './bench-host.ts';

interface Parameters {
  readonly side: 'ours' | 'raw';
  readonly dataDirectory: string;
  readonly databases: number;
}

export interface Activation {
  readonly importMs: number;
  readonly activateMs: number;
}

await serveSubject(async ({ side, dataDirectory, databases }: Parameters) => {
  const importStart = performance.now();
  const prepared = side === 'ours' ? await prepareOurs() : await prepareRaw(databases);
  const importMs = performance.now() - importStart;
  let close = async (): Promise<void> => undefined;
  return {
    ready: null,
    async run(): Promise<Activation> {
      const start = performance.now();
      close = await prepared(dataDirectory);
      return { importMs, activateMs: performance.now() - start };
    },
    close: () => close(),
  };
});

type Activate = (dataDirectory: string) => Promise<() => Promise<void>>;

async function prepareOurs(): Promise<Activate> {
  const { activate } = await import('../../src/plugin.ts');
  return async (dataDirectory) => {
    const plugin = await activate(createBenchHost(dataDirectory, new Map()), {});
    return () => plugin.close();
  };
}

async function prepareRaw(databases: number): Promise<Activate> {
  const { open } = await import('lmdb');
  return async (dataDirectory) => {
    const path = join(dataDirectory, 'raw');
    mkdirSync(path, { recursive: true });
    const root = open({ path, noSubdir: false, maxDbs: 32 });
    for (let n = 1; n < databases; n += 1) root.openDB({ name: `database-${n}` });
    const meta = root.openDB<number, string>({ name: 'meta' });
    await meta.put('format', 1);
    await meta.flushed;
    return () => root.close();
  };
}
