/**
 * Ours, whole: a host with the plugin and its engine, objects in files, and as many buckets as are
 * asked for, each with one target and one rule for everything.
 */
import Koa from 'koa';
import { activate } from '../../src/plugin.ts';
import { serveSubject } from '../harness/subject.ts';
import { createBenchHost, listen, makeBuckets, stopListening } from './bench-host.ts';
import { HostDriver, type HostCommand, type HostReady } from './host-driver.ts';
import { objectsOf, type ObjectSet } from './object-set.ts';

interface Parameters {
  readonly dataDirectory: string;
  readonly buckets: number;
  readonly objects: ObjectSet;
}

await serveSubject(async ({ dataDirectory, buckets: count, objects }: Parameters) => {
  const buckets = makeBuckets(count);
  const host = createBenchHost(dataDirectory, buckets, objectsOf(objects));
  const start = performance.now();
  const plugin = await activate(host, {});
  const ready: HostReady = { activateMs: performance.now() - start };
  const app = new Koa();
  app.use(plugin.middleware);
  const respond = app.callback();
  const { server, port } = await listen((request, response) => void respond(request, response));
  const driver = new HostDriver(plugin, `http://127.0.0.1:${port}`);
  return {
    ready,
    run: (parameters) => driver.run(parameters as HostCommand),
    async close() {
      await stopListening(server);
      await plugin.close();
    },
  };
});
