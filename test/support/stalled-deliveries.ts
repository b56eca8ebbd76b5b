/**
 * A process of its own whose deliveries stall: one owner has 160 buckets, each with a target that
 * accepts connections and reads nothing; another owner has one bucket and a good target. Prints what
 * became of it. Argument: the budget for bodies, in bytes.
 */
import { randomBytes } from 'node:crypto';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { createAddressPolicy } from '../../src/egress/address.ts';
import { BoundedResolver } from '../../src/egress/resolver.ts';
import { createTargetClient } from '../../src/egress/target-client.ts';
import { createEngineClock } from '../../src/engine/clock.ts';
import { Engine } from '../../src/engine/engine.ts';
import { parseEndpoint } from '../../src/model/endpoint.ts';
import { Keyring } from '../../src/sealing/keyring.ts';
import { createStore } from '../../src/store/store.ts';
import { tablesIn } from '../../src/store/tables.ts';
import { ANY, ruleDraft, targetDraft } from './drafts.ts';
import { ManyBucketsHost } from './many-buckets-host.ts';
import { MemoryDisk } from './memory-tables.ts';
import { until } from './until.ts';

const STALLED_LANES = 160;
const OBJECTS = 4;
const BODY_BYTES = 8 * 1024 * 1024;
const GOOD_OBJECTS = 20;
const RSS_LOOK_MS = 20;

async function listen(server: Server): Promise<string> {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const sockets = new Set<Socket>();
const stalling = await listen(
  createServer({ pauseOnConnect: true }, (socket) => {
    socket.on('error', () => undefined);
    sockets.add(socket);
  }),
);
let arrived = 0;
const good = await listen(
  createHttpServer((request, response) => {
    request.resume();
    request.on('end', () => {
      arrived += 1;
      response.setHeader('etag', '"opaque"').end();
    });
  }),
);

const { configurations, outbox } = createStore({
  tables: tablesIn(new MemoryDisk().connect()),
  keyring: new Keyring([randomBytes(32)]),
});
const host = new ManyBucketsHost();
async function fill(name: string, owner: string, endpoint: string, objects: number): Promise<void> {
  const bucket = host.addBucket(name, owner);
  await configurations.replaceTargets(bucket, [targetDraft(1, { endpoint })], ANY);
  await configurations.replaceRules(bucket, [ruleDraft(1)], ANY);
  for (let n = 0; n < objects; n++) {
    const key = `key-${n}`;
    const write = { bucket, key, operation: 'put', before: null } as const;
    const { intent } = await outbox.announce([write]);
    const { versionId, order } = host.put(bucket, key, BODY_BYTES);
    await outbox.commit(intent, [{ ...write, versionId, order, replica: false }]);
  }
}
for (let n = 0; n < STALLED_LANES; n++) await fill(`stalled-${n}`, 'greedy', stalling, OBJECTS);

const engineClock = createEngineClock({ nowMs: Date.now });
const clock = {
  nowMs: () => engineClock.monotonicMs(),
  after: (delayMs: number, callback: () => void) => engineClock.after(delayMs, callback),
  wallClockMs: () => Date.now(),
};
const addresses = createAddressPolicy({
  allow: ['127.0.0.0/8'],
  deny: [],
  ownAddresses: () => [],
});
const resolver = new BoundedResolver({
  lookup: () => Promise.reject(new Error('There are no names.')),
  clock,
  concurrency: 1,
  lateMax: 1,
});
const engine = new Engine({
  host: Object.assign(host, {
    logger: { debug: () => {}, info: () => {}, warn: () => {}, error: console.error },
  }),
  outbox,
  configurations,
  clock: engineClock,
  random: () => 0.5,
  diskState: () => 'ok',
  bodyBytesMax: Number(process.argv[2]),
  connectTarget: ({ target, secretAccessKey }) => {
    const endpoint = parseEndpoint(target.endpoint);
    if (endpoint === null) throw new Error('The endpoint does not parse.');
    return createTargetClient({
      connection: { ...target, endpoint, secretAccessKey },
      addresses,
      resolver: { resolve: (name) => resolver.resolve(name, 'owner') },
      clock,
      connections: 16,
    });
  },
});
const rssBefore = process.memoryUsage.rss();
let rssMax = rssBefore;
let bodyBytesMax = 0;
const watch = setInterval(() => {
  rssMax = Math.max(rssMax, process.memoryUsage.rss());
  bodyBytesMax = Math.max(bodyBytesMax, engine.counters().bodyBytes);
}, RSS_LOOK_MS);
engine.start();
// As many as may be are stuck, and have been for a while.
let stuck = -1;
await until(async () => {
  const before = stuck;
  stuck = sockets.size;
  await sleep(300);
  return stuck > 0 && stuck === before;
}, 'the targets that take nothing');
await fill('good', 'modest', good, GOOD_OBJECTS);
await until(() => arrived >= GOOD_OBJECTS, 'the other owner’s objects');
clearInterval(watch);
process.stdout.write(
  JSON.stringify({ arrived, stuck, bodyBytesMax, rssGrowth: rssMax - rssBefore }),
);
process.exit(0);
