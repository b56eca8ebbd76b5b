/** A process that activates the plugin, uses it, closes it, and must then end by itself. */
import { activate } from '../../src/plugin.ts';
import type { Host } from '../../src/host.ts';

const [, , dataDirectory = ''] = process.argv;
const quiet = (): void => undefined;
const host: Host = {
  apiVersion: '1.0',
  logger: { debug: quiet, info: quiet, warn: quiet, error: quiet },
  dataDirectory,
  authenticate: async () => null,
  findBucket: async () => null,
  withBucketLock: (_name, work) => work(null),
  openObject: async () => null,
  headCurrent: async () => null,
  listCurrent: async () => ({ objects: [] }),
};

const plugin = await activate(host);
await plugin.bucketDeleted?.({ id: 'bucket-1', name: 'photos' });
if (!(await plugin.health()).healthy) throw new Error('The plugin is not healthy.');
await plugin.close();
console.log('closed');
