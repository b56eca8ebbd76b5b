/**
 * A process, to be run with a small heap, that sends bodies just below 1 MiB with as many invalid
 * items as fit, and prints each answer as one line of JSON.
 */
import { startKoaHost } from './koa-host.ts';
import { rulesPath, targetsPath } from './replication-bodies.ts';
import { costOf } from './cpu-time.ts';

export interface OversizedAnswer {
  readonly body: string;
  readonly items: number;
  readonly status: number;
  readonly text: string;
  readonly cpuMs: number;
}

const BODY_BYTES_MAX = 1024 * 1024;
const [, , dataDirectory = ''] = process.argv;
const host = await startKoaHost({ dataDirectory });
host.addBucket('photos');

async function send(path: string, list: 'targets' | 'rules', item: string): Promise<void> {
  const [start, end] = [`{"${list}":[`, ']}'];
  const items = Math.floor((BODY_BYTES_MAX - start.length - end.length + 1) / (item.length + 1));
  const body = start + Array.from({ length: items }, () => item).join(',') + end;
  const { result, cpuMs } = await costOf(() => host.request('PUT', path, { body }));
  const { status, text } = result;
  const line: OversizedAnswer = { body: `${list} of ${item}`, items, status, text, cpuMs };
  console.log(JSON.stringify(line));
}

for (const item of ['{}', 'null', '[]', '{"id":0}']) {
  await send(targetsPath('photos'), 'targets', item);
  await send(rulesPath('photos'), 'rules', item);
}
await host.close();
