/** Peer of GET: Koa with one handler that sends the same text to everybody, without a router. */
import Koa from 'koa';
import { serveSubject } from '../harness/subject.ts';
import { listen, stopListening } from './bench-host.ts';

interface Parameters {
  readonly body: string;
}

await serveSubject(async ({ body }: Parameters) => {
  const app = new Koa();
  app.use((ctx) => {
    ctx.type = 'application/json';
    ctx.body = body;
  });
  const respond = app.callback();
  const { server, port } = await listen((request, response) => void respond(request, response));
  return { ready: { port }, close: () => stopListening(server) };
});
