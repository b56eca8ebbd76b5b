/**
 * A server is killed again and again, at random moments, while 50 keys are written that replicate to
 * two others, one of which comes and goes. At the end the source must show whatever it acknowledged,
 * and both targets what the source shows: to the last byte, with metadata and tags.
 *
 *     npm run kill-loop -- --seconds 180
 *
 * One line says what came of it. Exits with 1 where anything was lost or is wrong, or where the queue
 * is not empty after five minutes. ALARIK_TEST_SEED repeats the choices; what a kill meets is up to
 * the machine.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { S3Client } from '@aws-sdk/client-s3';
import { Random } from '../simulation/random.ts';
import type { AwsAccount } from '../support/aws-cli.ts';
import { listEtags } from '../support/replicas.ts';
import { ruleBody } from '../support/replication-bodies.ts';
import { admin, startSite, targetAt, type Site } from '../support/replication-site.ts';
import { connectS3, createVersionedBucket } from '../support/s3-sdk.ts';
import { until } from '../support/until.ts';
import { FlappingProxy } from './flapping-proxy.ts';
import { isSame, Keys, read } from './keys.ts';
import { Writer } from './writer.ts';

const SECONDS = '180';
const KEYS = Array.from({ length: 50 }, (_, index) => `folder-${index % 5}/key ${index}`);
const BUCKET = 'killed';
const WRITERS = 5;
const LIFE_MS = { min: 50, max: 5_000 };
const CONVERGENCE_MS_MAX = 300_000;
/** Looks after a kill wait for late requests for a minute: a second or less says nothing. */
const LOOK_MS = 500;

const { values } = parseArgs({ options: { seconds: { type: 'string', default: SECONDS } } });
const seed = Number(process.env['ALARIK_TEST_SEED'] ?? randomInt(2 ** 31));
const random = new Random(seed);
console.log(`kill-loop: ALARIK_TEST_SEED=${seed}, ${values.seconds} s`);

const directory = mkdtempSync(join(tmpdir(), 'alarik-kill-loop-'));
const [steady, unsteady] = await Promise.all([start('steady'), start('unsteady')]);
const replicas = [connectS3(steady.account), connectS3(unsteady.account)];
const proxy = await FlappingProxy.start(unsteady.process.port);
let source = await start('source');
let s3 = connectS3(source.account);
try {
  process.exitCode = (await run()) ? 0 : 1;
} finally {
  for (const client of [s3, ...replicas]) client.destroy();
  await Promise.all([source, steady, unsteady].map((site) => site.process.stop()));
  await proxy.close();
  rmSync(directory, { recursive: true, force: true });
}

/** @returns whether all of it is as it must be */
async function run(): Promise<boolean> {
  for (const client of [s3, ...replicas]) await createVersionedBucket(client, BUCKET);
  await replicateTo([steady.account, { ...unsteady.account, url: proxy.url }]);
  const ledger = new Keys();
  const end = new AbortController();
  const flapping = proxy.flap(random.fork(), end.signal);
  const writing = Array.from({ length: WRITERS }, (_, index) => {
    const keys = KEYS.filter((_key, keyIndex) => keyIndex % WRITERS === index);
    const common = { bucket: BUCKET, ledger, random: random.fork() };
    return new Writer({ ...common, s3: () => s3, keys }).write(end.signal);
  });
  const kills = await killUntil(performance.now() + Number(values.seconds) * 1_000);
  end.abort();
  await Promise.all(writing);
  const outages = await flapping;
  const beganMs = performance.now();
  const left = await drain();
  const seconds = ((performance.now() - beganMs) / 1_000).toFixed(0);
  const { lost, wrong } = await compare(ledger);
  const { acknowledged, unanswered } = ledger;
  const counts = `${kills} kills, ${outages} outages, ${acknowledged} acknowledged`;
  const came = left === 0 ? `converged after ${seconds} s` : `${left} queued after ${seconds} s`;
  console.log(`${counts} (${unanswered} unanswered), ${lost} lost, ${wrong} wrong, ${came}`);
  return lost === 0 && wrong === 0 && left === 0;
}

async function start(name: string): Promise<Site> {
  return await startSite({ dataDirectory: join(directory, name), name, region: 'us-east-1' });
}

async function replicateTo(accounts: readonly AwsAccount[]): Promise<void> {
  const list = accounts.map((account) => targetAt(account, BUCKET));
  const saved = await admin(source, 'PUT', `${BUCKET}/replication/targets`, { targets: list });
  assert.equal(saved.status, 200, saved.text);
  const { targets } = saved.json as { readonly targets: readonly { readonly id: string }[] };
  const rules = targets.map(({ id }) => ruleBody({ targetId: id, replicateDeletes: true }));
  const ruled = await admin(source, 'PUT', `${BUCKET}/replication/rules`, { rules });
  assert.equal(ruled.status, 200, ruled.text);
}

async function killUntil(endMs: number): Promise<number> {
  for (let kills = 0; ; kills += 1) {
    if (performance.now() >= endMs) return kills;
    await sleep(random.between(LIFE_MS.min, LIFE_MS.max));
    await source.process.kill();
    s3.destroy();
    source = await start('source');
    s3 = connectS3(source.account);
  }
}

/** Waits for an empty queue; returns how much is left in it where that takes too long. */
async function drain(): Promise<number> {
  let left = 0;
  const isEmpty = async (): Promise<boolean> => {
    await sleep(LOOK_MS);
    const answer = await admin(source, 'GET', `${BUCKET}/replication/tasks`);
    assert.equal(answer.status, 200, answer.text);
    left = (answer.json as { readonly tasks: readonly unknown[] }).tasks.length;
    return left === 0;
  };
  await until(isEmpty, 'an empty queue', CONVERGENCE_MS_MAX).catch(() => undefined);
  return left;
}

/** Says of each key that is lost or wrong what is the matter. */
async function compare(ledger: Keys): Promise<{ readonly lost: number; readonly wrong: number }> {
  let [lost, wrong] = [0, 0];
  const others = await Promise.all(replicas.map((replica) => strangers(replica)));
  for (const key of others.flat()) {
    wrong += 1;
    console.log(`wrong: ${key} was never written`);
  }
  for (const key of KEYS) {
    const own = await read(s3, BUCKET, key);
    if (!ledger.allows(key, own)) {
      lost += 1;
      console.log(`lost: ${key} shows ${JSON.stringify([own, ledger.possible(key)])}`);
    }
    for (const [index, replica] of replicas.entries()) {
      const theirs = await read(replica, BUCKET, key);
      if (isSame(theirs, own)) continue;
      wrong += 1;
      const name = index === 0 ? 'steady' : 'unsteady';
      console.log(`wrong: ${key} at the ${name} target: ${JSON.stringify([own, theirs])}`);
    }
  }
  return { lost, wrong };
}

async function strangers(replica: S3Client): Promise<readonly string[]> {
  return [...(await listEtags(replica, BUCKET)).keys()].filter((key) => !KEYS.includes(key));
}
