/** Peer of PUT: the same Koa, router and body parser, with a handler that sends the body back. */
import Router from '@koa/router';
import Koa from 'koa';
import { parseJsonBody } from '../../src/json-api/body.ts';
import { serveSubject } from '../harness/subject.ts';
import { listen, stopListening } from './bench-host.ts';

await serveSubject(async () => {
  const router = new Router({ sensitive: true });
  router.put('/api/v1/buckets/:bucketName/replication/targets', parseJsonBody, (ctx) => {
    ctx.body = ctx.request.body;
  });
  const app = new Koa();
  app.use(router.routes());
  const respond = app.callback();
  const { server, port } = await listen((request, response) => void respond(request, response));
  return { ready: { port }, close: () => stopListening(server) };
});
