/**
 * A process that writes to the outbox is killed at random moments. After each, every write that was
 * acknowledged is accounted for: by a row, by an intent that is left, or by its delivery; and the
 * tables agree with each other.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Keyring } from '../../src/sealing/keyring.ts';
import { createStore, type Store } from '../../src/store/store.ts';
import { openTables } from '../../src/store/tables.ts';
import { ANY, ruleDraft, targetDraft } from '../support/drafts.ts';
import { BUCKET, RULE } from '../support/outbox-driver.ts';
import { assertTablesAgree } from '../support/outbox-tables.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const RUNS = 6;
const writer = fileURLToPath(new URL('../support/outbox-crash-writer.ts', import.meta.url));

type Told = Record<'announced' | 'committed' | 'delivered', Set<string>>;

describe('a killed process', () => {
  it('leaves every acknowledged write behind', async (t) => {
    const dataDirectory = temporaryDirectory(t);
    await withStore(dataDirectory, async ({ configurations }) => {
      await configurations.replaceTargets(BUCKET, [targetDraft(1)], ANY);
      await configurations.replaceRules(BUCKET, [ruleDraft(RULE)], ANY);
    });
    const all: Told = { announced: new Set(), committed: new Set(), delivered: new Set() };
    for (let run = 0; run < RUNS; run++) {
      const lines = 50 + 97 * run;
      await writeUntilKilled(dataDirectory, run, lines, all);
      await withStore(dataDirectory, ({ outbox }) => assertNothingLost(outbox, all));
    }
    assert(all.delivered.size > 0 && all.committed.size > 0);
  });
});

/** Kills after so many lines, wherever the writers are then, and reads what was told until then. */
async function writeUntilKilled(
  dataDirectory: string,
  run: number,
  lines: number,
  all: Told,
): Promise<void> {
  const child = spawn(process.execPath, ['--import', 'tsx', writer, dataDirectory, String(run)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    if (text.split('\n').length > lines) child.kill('SIGKILL');
  });
  await Promise.all([once(child, 'exit'), once(child.stdout, 'close')]);
  for (const line of text.split('\n').slice(0, -1)) {
    const [what, key] = line.split(' ') as [keyof Told, string];
    all[what].add(key);
  }
}

async function assertNothingLost(outbox: Store['outbox'], all: Told): Promise<void> {
  const tenure = await outbox.acquireLease();
  assert(tenure !== null, 'the lease of a killed process is free');
  await tenure.recoverClaims();
  const queued = new Set<string>();
  let after: number | null = null;
  for (;;) {
    const page = await outbox.pageRows(BUCKET, {}, after, 256);
    for (const { key } of page) queued.add(key);
    if (page.length < 256) break;
    after = page.at(-1)?.sequence ?? null;
  }
  const left = await tenure.leftIntents();
  const announced = new Set(left.flatMap(({ writes }) => writes.map(({ key }) => key)));
  for (const key of all.announced) {
    const isThere = queued.has(key) || announced.has(key) || all.delivered.has(key);
    assert(isThere, `${key} was announced and is lost`);
  }
  for (const key of all.committed) {
    assert(!announced.has(key), `${key} was committed, its intent is gone`);
    assert(queued.has(key) || all.delivered.has(key), `${key} was committed and is lost`);
  }
  await tenure.release();
}

async function withStore(
  dataDirectory: string,
  work: (store: Store) => Promise<void>,
): Promise<void> {
  const tables = await openTables(dataDirectory);
  const store = createStore({ tables, keyring: new Keyring([randomBytes(32)]) });
  try {
    await work(store);
    assertTablesAgree(tables);
  } finally {
    await store.close();
  }
}
