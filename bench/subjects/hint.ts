/**
 * The hint of the write path and raw LMDB lookups, in one process, over two environments with the
 * same names in them: what differs by nanoseconds must share a heap, a JIT and a moment.
 *
 * The turn pattern is that of a write path: each write is an event turn of its own, so each lookup is
 * the first of its turn and pays for the read transaction that it begins. LMDB ends one by a timer,
 * after a millisecond at the least, which is many turns of a bench: here it is ended before each turn.
 * Only the lookup is timed; the cost of the two clock readings is measured the same way and taken off.
 *
 * It can also ask for one bucket, turn after turn, until another process has saved a rule for it.
 */
import { join } from 'node:path';
import { open } from 'lmdb';
import { Keyring } from '../../src/sealing/keyring.ts';
import { createStore } from '../../src/store/store.ts';
import { openTables } from '../../src/store/tables.ts';
import { serveSubject } from '../harness/subject.ts';
import { bucketName } from './bench-host.ts';
import {
  OURS,
  type HintCommand,
  type HintResult,
  type HintRun,
  type HintWatch,
} from './hint-commands.ts';

interface Parameters {
  readonly dataDirectory: string;
  readonly buckets: number;
}

/** Records of that many a transaction while the environments are filled. */
const FILL_BATCH = 5000;

await serveSubject(async ({ dataDirectory, buckets }: Parameters) => {
  const tables = await openTables(join(dataDirectory, OURS));
  const { configurations, close } = createStore({
    tables,
    keyring: new Keyring([Buffer.alloc(32, 7)]),
  });
  const ours = tables.root.openDB<true, string>({ name: 'hints' });
  const rawRoot = open({ path: join(dataDirectory, 'raw'), maxDbs: 32 });
  const raw = rawRoot.openDB<true, string>({ name: 'hints' });
  for (let start = 0; start < buckets; start += FILL_BATCH) {
    const end = Math.min(buckets, start + FILL_BATCH);
    await tables.root.transaction(() => fill(ours, start, end));
    await rawRoot.transaction(() => fill(raw, start, end));
  }
  const lookups: Record<HintRun['side'], (name: string) => boolean> = {
    ours: (name) => configurations.mayReplicate(name),
    doesExist: (name) => raw.doesExist(name),
    get: (name) => raw.get(name) === true,
    nothing: (name) => name === '',
  };
  // Every second name is of a bucket without rules.
  const names = Array.from({ length: 4096 }, (_, n) =>
    n % 2 === 0 ? bucketName((n * 7919) % buckets) : `without-rules-${n}`,
  );
  return {
    ready: null,
    run: (parameters) => {
      const command = parameters as HintCommand;
      if (command.kind === 'watch') {
        return watch(() => configurations.mayReplicate(command.bucket), command.limitMs);
      }
      const { side, ...pattern } = command;
      const endReads = (): void => {
        tables.root.resetReadTxn();
        rawRoot.resetReadTxn();
      };
      return timeLookups(lookups[side], names, pattern, endReads);
    },
    async close() {
      await close();
      await rawRoot.close();
    },
  };
});

function fill(
  table: { putSync(key: string, value: true): unknown },
  from: number,
  to: number,
): void {
  for (let n = from; n < to; n += 1) table.putSync(bucketName(n), true);
}

async function timeLookups(
  lookup: (name: string) => boolean,
  names: readonly string[],
  { turns, lookupsPerTurn }: Omit<HintRun, 'side'>,
  endReads: () => void,
): Promise<HintResult> {
  let nanos = 0;
  let found = 0;
  let next = 0;
  for (let turn = 0; turn < turns; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    endReads();
    const start = process.hrtime.bigint();
    for (let n = 0; n < lookupsPerTurn; n += 1) {
      if (lookup(names[next++ & 4095]!)) found += 1;
    }
    nanos += Number(process.hrtime.bigint() - start);
  }
  return { nanosPerLookup: nanos / (turns * lookupsPerTurn), found };
}

/** Nothing but turns of the event loop lies between two looks, and LMDB ends reads when it does. */
async function watch(look: () => boolean, limitMs: number): Promise<HintWatch> {
  const deadline = performance.now() + limitMs;
  let missedAt = 0n;
  while (performance.now() < deadline) {
    const startedAt = process.hrtime.bigint();
    if (look()) return { seenAt: process.hrtime.bigint(), missedAt };
    missedAt = startedAt;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return { seenAt: null, missedAt };
}
