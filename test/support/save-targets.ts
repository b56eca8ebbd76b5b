/** A process that serves the admin API and saves targets through it, to be traced. */
import { startKoaHost } from './koa-host.ts';
import { targetBody, targetsPath } from './replication-bodies.ts';

const [, , dataDirectory = '', times = '1'] = process.argv;
const host = await startKoaHost({ dataDirectory });
host.addBucket('photos');
for (let n = 0; n < Number(times); n += 1) {
  const body = { targets: [targetBody()] };
  const answer = await host.request('PUT', targetsPath('photos'), { body });
  if (answer.status !== 200) throw new Error(answer.text);
}
await host.close();
