/**
 * A plugin for tests of the server. `GET /api/v1/buckets/:bucketName/probe` answers who asked,
 * which bucket the host finds, what the hooks were told so far, and waits inside the bucket's lock
 * for the body when it is a POST. It appends each hook call, and its closing, to `probe.log` in the
 * host's data directory.
 */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';

const ROUTE = /^\/api\/v1\/buckets\/([^/]+)\/probe$/;

export async function activate(host, options) {
  if (options.failOnActivate === true) throw new Error('The probe was told to fail.');
  const record = (entry) =>
    appendFileSync(join(host.dataDirectory, 'probe.log'), `${JSON.stringify(entry)}\n`);
  let closed;
  return {
    async middleware(ctx, next) {
      const [, name] = ROUTE.exec(ctx.path) ?? [];
      if (name === undefined) return next();
      if (ctx.method === 'DELETE') throw new Error('The probe was told to crash.');
      const principal = await host.authenticate(ctx);
      const bucket = await host.findBucket(name);
      if (ctx.method === 'POST') {
        await host.withBucketLock(name, async () => {
          record({ locked: name });
          for await (const chunk of ctx.req) void chunk;
        });
      }
      ctx.body = { principal, bucket, apiVersion: host.apiVersion };
    },
    async bucketReplication(ctx, bucket) {
      ctx.body = { bucket: bucket.name };
    },
    async health() {
      return options.unhealthy === true
        ? { healthy: false, reason: 'The probe was told to be ill.' }
        : { healthy: true };
    },
    metrics: async () => '# HELP probe_up The probe is up\n# TYPE probe_up gauge\nprobe_up 1\n',
    close() {
      closed ??= Promise.resolve(record({ closed: true }));
      return closed;
    },
    async bucketDeleted(bucket) {
      record({ bucketDeleted: bucket });
      if (options.failOnDelete === true) throw new Error('The probe was told to fail.');
    },
    async mayChangeVersioning(bucket, to) {
      record({ mayChangeVersioning: bucket, to });
      return options.keepVersioning !== true;
    },
    async announce() {
      throw new Error('The manifest does not list this hook, so nobody may call it.');
    },
  };
}
