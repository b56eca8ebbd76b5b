import { randomBytes } from 'node:crypto';
import { CommitFeed } from './src/store/commit-feed.ts';
import { LmdbConfigurationStore } from './src/store/configuration-store.ts';
import { LmdbOutbox } from './src/store/outbox.ts';
import { openTables } from './src/store/tables.ts';
import { Keyring } from './src/sealing/keyring.ts';
import { ANY } from './test/support/drafts.ts';
const A = { id: 'b-1', name: 'photos' }, B = { id: 'b-2', name: 'music' };
const dir = process.argv[2]!;
const keyring = new Keyring([Buffer.alloc(32, 1)]);
const rss0 = process.memoryUsage().rss; const t0 = performance.now();
const tables = await openTables(dir);
const feed = new CommitFeed(tables, 1000);
const store = new LmdbConfigurationStore(tables, keyring, { feed });
const outbox = new LmdbOutbox({ tables, keyring, feed, isDiskLow: () => false, backlogMax: 2_000_000 });
let order = Date.now();
const w = (bucket: any, key: string) => ({ bucket, key, operation: 'put' as const, versionId: randomBytes(16).toString('hex'), order: order++, replica: false });
async function commits(label: string, n = 3000) { let best = 1e9; for (let r = 0; r < 5; r++) { const c = process.cpuUsage(); await Promise.all(Array.from({ length: 64 }, async (_, k) => { for (let i = 0; i < n / 64; i++) await outbox.commit(0, [w(A, `x/${label}/${r}/${k}/${i}/${order}`)]); })); const d = process.cpuUsage(c); best = Math.min(best, (d.user + d.system) / n); } console.log(label, 'best cpu us/commit', best.toFixed(1)); }
async function claims(label: string) { const epoch = (await outbox.acquireLease())!; const lane = (await outbox.lanes()).find((l) => l.bucket.id === A.id)!; let best = 1e9; for (let r = 0; r < 5; r++) { const c = process.cpuUsage(); const t = performance.now(); let n = 0; for (let i = 0; i < 60; i++) { const cs = await outbox.claim(epoch, lane, 16, Date.now()); await Promise.all(cs.map((x) => outbox.settleClaim(epoch, x, { kind: 'complete', upTo: x.row.order, verifyAt: null }))); n += cs.length; } const d = process.cpuUsage(c); best = Math.min(best, (d.user + d.system) / n); if (r === 4) console.log('wall us', ((performance.now() - t) * 1000 / n).toFixed(0)); } console.log(label, 'best cpu us/claim+complete', best.toFixed(1)); await outbox.releaseLease(epoch); }
const lanes = await outbox.lanes(); const due = await outbox.nextDueAt(lanes[0]!);
console.log('open + lanes + nextDue ms', (performance.now() - t0).toFixed(1), 'rss growth MiB', ((process.memoryUsage().rss - rss0) / 2 ** 20).toFixed(0), 'rss', (process.memoryUsage().rss / 2 ** 20).toFixed(0), due !== null);
const t2 = performance.now(); await outbox.pageRows(A, {}, null, 100); const t3 = performance.now(); await outbox.queueStatus(A); console.log('page100 ms', (t3 - t2).toFixed(1), 'status ms', (performance.now() - t3).toFixed(1));
await commits('at size'); await claims('at size');
console.log('rss after work', (process.memoryUsage().rss / 2 ** 20).toFixed(0));
if (process.argv[3]) {
const epoch = (await outbox.acquireLease())!;
const other: number[] = []; let stop = false;
const writer = (async () => { while (!stop) { const t = performance.now(); const i = await outbox.announce([{ bucket: B, key: 'k', operation: 'put', before: null }]); await outbox.commit(i, [w(B, 'k' + other.length)]); other.push(performance.now() - t); await new Promise((r) => setTimeout(r, 5)); } })();
await new Promise((r) => setTimeout(r, 4000)); const idle = other.splice(0);
const t4 = performance.now(); await store.replaceRules(A, [], ANY); console.log('removal of the rule answers in ms', (performance.now() - t4).toFixed(1));
const t5 = performance.now(); let calls = 0; while (performance.now() - t5 < 60000 && await outbox.sweep(epoch, Date.now())) { calls++; await new Promise(setImmediate); }
const took = performance.now() - t5; stop = true; await writer;
const q = (a: number[], p: number) => a.sort((x, y) => x - y)[Math.floor(a.length * p)]?.toFixed(1);
console.log('sweep s', (took / 1000).toFixed(1), 'calls', calls, 'rows left', tables.rows.getCount(), 'rss', (process.memoryUsage().rss / 2 ** 20).toFixed(0));
console.log('other writes idle ms p50/p99/max', q(idle, 0.5), q(idle, 0.99), q(idle, 0.9999), 'while sweeping', q(other, 0.5), q(other, 0.99), q(other, 0.9999), other.length);
}
await outbox.close(); await store.close();
