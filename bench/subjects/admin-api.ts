/** Ours: a Koa app with nothing but the plugin's middleware, over a store on disk. */
import Koa from 'koa';
import { activate } from '../../src/plugin.ts';
import { serveSubject } from '../harness/subject.ts';
import { createBenchHost, listen, makeBuckets, stopListening } from './bench-host.ts';

interface Parameters {
  readonly dataDirectory: string;
  readonly buckets: number;
}

/** Of a documentation network (RFC 5737), so that no name server is asked. */
const PUBLIC_ADDRESS = '192.0.2.10';

await serveSubject(async ({ dataDirectory, buckets }: Parameters) => {
  const host = createBenchHost(dataDirectory, makeBuckets(buckets));
  const plugin = await activate(host, {}, { lookup: async () => [PUBLIC_ADDRESS] });
  const app = new Koa();
  app.use(plugin.middleware);
  const respond = app.callback();
  const { server, port } = await listen((request, response) => void respond(request, response));
  return {
    ready: { port },
    async close() {
      await stopListening(server);
      await plugin.close();
    },
  };
});
