/** Uploads that no row carries any longer: what a lane aborts of them, and when it leaves them alone. */
import { due } from '../support/outbox-driver.ts';
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { CreateBucketCommand, ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import { createAddressPolicy } from '../../src/egress/address.ts';
import { BoundedResolver } from '../../src/egress/resolver.ts';
import { createRealClock } from '../support/real-clock.ts';
import { createTargetClient, type TargetClient } from '../../src/egress/target-client.ts';
import { createEngineClock } from '../../src/engine/clock.ts';
import { BodyMemory } from '../../src/engine/body-memory.ts';
import { ConnectionSlots } from '../../src/engine/connection-slots.ts';
import { Engine, type UsableTarget } from '../../src/engine/engine.ts';
import { Lane } from '../../src/engine/lane.ts';
import { WakeTimes } from '../../src/engine/wake-times.ts';
import type { RequestFailure } from '../../src/model/delivery.ts';
import { parseEndpoint } from '../../src/model/endpoint.ts';
import type { StrayUpload } from '../../src/model/queue.ts';
import type { TargetDraft } from '../../src/model/target.ts';
import { OWNER, REGION, startS3Server } from '../server/s3/s3-server.ts';
import { ANY, ruleDraft, targetDraft } from '../support/drafts.ts';
import { complete } from '../support/outbox-driver.ts';
import { openLmdbOutbox } from '../support/outbox-fixture.ts';
import { until } from '../support/until.ts';
import { DENIED, RESET } from './fake-target.ts';
import { OneKeyHost } from './fixtures.ts';
import { MINUTE_MS, started, VirtualServer } from './virtual-server.ts';

/** A server that is about to start and whose earlier process left `count` uploads behind. */
async function leftBehind(
  count: number,
  target: Partial<TargetDraft> = {},
): Promise<VirtualServer> {
  const server = new VirtualServer();
  const { outbox, lane, clock } = server;
  await server.configure();
  for (let n = 0; n < count; n++) await server.put(`key-${n}`);
  const tenure = (await outbox.acquireLease())!;
  for (const claim of await tenure.claim(lane, due(count, clock.nowMs()))) {
    const { key, versionId, order } = claim.row;
    const uploadId = `of ${key}`;
    server.target.uploads.set(uploadId, new Map());
    await tenure.storeUpload(claim, {
      uploadId,
      versionId: versionId ?? '',
      order,
      partBytes: 1,
    });
    await tenure.settleClaim(claim, complete(order));
  }
  await tenure.release();
  await server.configure({ newSecret: null, ...target });
  assert.equal((await straysOf(server)).length, count);
  return server;
}

function straysOf({ outbox, lane }: VirtualServer): Promise<readonly StrayUpload[]> {
  return outbox.strayUploads(lane, null, 1_000);
}

function aborts({ target }: VirtualServer): number {
  return target.log.filter((operation) => operation === 'abort').length;
}

describe('stray uploads', () => {
  it('are aborted at start and once a minute, although nothing is queued', async () => {
    const server = await leftBehind(100);
    server.engine.start();
    await server.clock.run(30_000);
    assert.equal(aborts(server), 64, 'a bounded number');
    assert.equal((await straysOf(server)).length, 36);
    await server.clock.run(MINUTE_MS);
    assert.equal(server.target.uploads.size, 0);
    assert.deepEqual(await straysOf(server), []);
    await server.clock.run(10 * MINUTE_MS);
    assert.equal(aborts(server), 100, 'each once');
  });

  it('wait while the target is disabled', async () => {
    const server = await leftBehind(2, { enabled: false });
    server.engine.start();
    await server.clock.run(5 * MINUTE_MS);
    assert.deepEqual(server.target.log, []);
    await server.configure({ newSecret: null });
    await server.clock.run(MINUTE_MS + 1_000);
    assert.equal(server.target.uploads.size, 0);
  });

  it('wait while the breaker is open', async () => {
    const server = await leftBehind(2);
    const slowDown = { stage: 'answer', status: 503, code: 'SlowDown', ambiguous: false } as const;
    server.target.fail = () => ({ ...slowDown, retryAfterMs: 60 * MINUTE_MS });
    await server.put('a');
    server.engine.start();
    await server.clock.run(1_000);
    const before = aborts(server);
    assert.ok(before <= 1, 'none after the first failure');
    await server.clock.run(30 * MINUTE_MS);
    assert.equal(aborts(server), before);
    server.target.fail = () => null;
    await server.clock.run(40 * MINUTE_MS);
    assert.equal(server.target.uploads.size, 0);
  });

  it('that cannot be aborted hold up neither the others nor deliveries', async () => {
    const server = await leftBehind(3);
    const [first] = await straysOf(server);
    const refused = server.target.abortMultipartUpload.bind(server.target);
    server.target.abortMultipartUpload = async (upload) => {
      const result = await refused(upload);
      if (upload.uploadId !== first!.uploadId) return result;
      server.target.uploads.set(upload.uploadId, new Map());
      return { ok: false, failure: DENIED };
    };
    server.engine.start();
    await server.clock.run(1_000);
    assert.equal(aborts(server), 1, 'the round has ended');
    assert.equal(server.engine.counters().openBreakers, 0);
    await server.put('a');
    await server.clock.run(500);
    assert.ok(server.target.objects.has('a'));
    await server.clock.run(MINUTE_MS);
    assert.deepEqual(await straysOf(server), [first]);
    await server.clock.run(2 * MINUTE_MS);
    assert.equal(aborts(server), 5, 'and it is tried again');
  });

  it('are aborted one at a time, also where an answer takes longer than a minute', async () => {
    const server = await leftBehind(4);
    const abort = server.target.abortMultipartUpload.bind(server.target);
    let underWay = 0;
    server.target.abortMultipartUpload = async (upload) => {
      underWay += 1;
      assert.equal(underWay, 1);
      await new Promise<void>((resolve) => server.clock.after(90_000, resolve));
      underWay -= 1;
      return abort(upload);
    };
    server.engine.start();
    await server.clock.run(10 * MINUTE_MS);
    assert.equal(aborts(server), 4, 'each once');
    assert.deepEqual(await straysOf(server), []);
  });

  const answers: [name: string, failure: RequestFailure, isForgotten: boolean][] = [
    ['404', { stage: 'answer', status: 404, code: 'NoSuchBucket', ambiguous: false }, true],
    ['403', DENIED, false],
    ['a reset', RESET, false],
  ];
  for (const [name, failure, isForgotten] of answers) {
    it(`are ${isForgotten ? '' : 'not '}forgotten at ${name}`, async () => {
      const server = await leftBehind(1);
      server.target.fail = (operation) => (operation === 'abort' ? failure : null);
      server.engine.start();
      await server.clock.run(1_000);
      assert.equal(aborts(server), 1);
      assert.equal((await straysOf(server)).length, isForgotten ? 0 : 1);
    });
  }

  it('at another place than the target is now are forgotten', async () => {
    const server = await leftBehind(2, { targetBucket: 'elsewhere' });
    server.engine.start();
    await server.clock.run(1_000);
    assert.deepEqual(await straysOf(server), []);
    assert.deepEqual(server.target.log, []);
  });

  it('are aborted beside deliveries', async () => {
    const server = await leftBehind(20);
    server.latencyMs = 1_000;
    server.engine.start();
    await server.clock.run(500);
    await server.put('a');
    await server.clock.run(1_500);
    assert.ok(server.target.objects.has('a'));
    await server.clock.run(30_000);
    assert.equal(aborts(server), 20);
  });

  it('leave the connection to a delivery that has none', async () => {
    const server = await leftBehind(20);
    server.latencyMs = 1_000;
    const { outbox, hooks, clock, target } = server;
    const slots = new ConnectionSlots({ total: 1, perOwner: 1 });
    const memory = new BodyMemory(64 * 1024 * 1024);
    const lane = new Lane(server.lane, {
      outbox,
      host: hooks,
      clock,
      random: () => 0.5,
      connectTarget: (access) => server.connectTarget(access),
      tenure: (await outbox.acquireLease())!,
      logger: hooks.logger,
      wakeTimes: new WakeTimes(clock),
      tally: { openBreakers: 0, inFlight: 0 },
      joinShares: async (_lane, onFree) => ({
        slots: slots.join('owner', onFree),
        memory: memory.of('owner'),
      }),
      onOutcome: () => undefined,
      onUploadLeft: () => undefined,
      onLeaseLost: () => assert.fail('the lease is held'),
    });
    lane.abortStrays();
    await clock.run(1_500);
    await server.put('a');
    lane.notify();
    await clock.run(2_000);
    assert.ok(target.objects.has('a'));
    assert.equal(aborts(server), 2);
    assert.equal((await straysOf(server)).length, 18);
  });
});

describe('uploads whose creation was not answered', () => {
  /** The first creation is applied, and its answer lost. */
  async function loseOne(server: VirtualServer): Promise<void> {
    const { target, clock } = server;
    target.nowMs = () => clock.nowMs();
    target.losesAnswers = true;
    let creations = 0;
    target.fail = (operation) => (operation === 'create' && creations++ === 0 ? RESET : null);
    await server.put('large', 2);
    await server.clock.run(10);
  }

  it('are aborted a minute later, although nothing else happens', async () => {
    const server = await started();
    await loseOne(server);
    await server.clock.run(30_000);
    assert.ok(server.target.objects.has('large'), 'the next try delivers');
    assert.deepEqual([...server.target.uploads.keys()], ['upload-1']);
    await server.clock.run(MINUTE_MS);
    assert.equal(server.target.uploads.size, 0);
    assert.equal(aborts(server), 1);
  });

  it('are looked for by a lane that is not let go before', async () => {
    const server = await started();
    await loseOne(server);
    await server.clock.run(20 * MINUTE_MS);
    assert.equal(server.target.uploads.size, 0);
  });

  it('are aborted after a target that was down for long is back', async () => {
    const server = await started();
    await loseOne(server);
    server.target.losesAnswers = false;
    server.target.fail = () => ({ stage: 'connect', code: 'ECONNREFUSED', ambiguous: false });
    await server.clock.run(10 * MINUTE_MS);
    assert.deepEqual([...server.target.uploads.keys()], ['upload-1']);
    server.target.fail = () => null;
    await server.clock.run(10 * MINUTE_MS);
    assert.ok(server.target.objects.has('large'));
    assert.equal(server.target.uploads.size, 0);
  });
});

describe('stray uploads at a real server', () => {
  it('are gone after the rule of a large object was removed', async (t) => {
    const remote = await startS3Server();
    t.after(() => remote.stop());
    const s3 = remote.client();
    await s3.send(new CreateBucketCommand({ Bucket: 'copies' }));
    const uploads = async (): Promise<number> => {
      const listed = await s3.send(new ListMultipartUploadsCommand({ Bucket: 'copies' }));
      return listed.Uploads?.length ?? 0;
    };
    const { configurations, outbox } = await openLmdbOutbox(t);
    const host = new OneKeyHost();
    const bucket = {
      id: 'bucket-1',
      name: 'photos',
      ownerId: 'owner',
      versioning: 'Enabled',
    } as const;
    let isCut = true;
    const start = (): Engine => {
      const engine = new Engine({
        host: {
          logger: { debug: () => {}, info: () => {}, warn: () => {}, error: console.error },
          findBucket: async () => bucket,
          headCurrent: () => host.headCurrent(),
          openObject: (ref, range) => host.openObject(ref, range),
          listCurrent: async () => ({ objects: [] }),
        },
        outbox,
        configurations,
        clock: createEngineClock({ nowMs: Date.now }),
        random: () => 0.5,
        diskState: () => 'ok',
        connectTarget: (access) => {
          const client = connect(access);
          const uploadPart: TargetClient['uploadPart'] = async (...args) =>
            isCut ? { ok: false, failure: RESET } : client.uploadPart(...args);
          return { ...client, uploadPart };
        },
      });
      t.after(() => engine.close());
      engine.start();
      return engine;
    };
    const target = targetDraft(1, {
      endpoint: remote.url,
      targetBucket: 'copies',
      region: REGION,
      accessKeyId: OWNER.accessKeyId,
      newSecret: OWNER.secretAccessKey,
    });
    await configurations.replaceTargets(bucket, [target], ANY);
    await configurations.replaceRules(bucket, [ruleDraft(1)], ANY);
    host.put('v5', randomBytes(9 * 1024 * 1024));
    const first = start();
    const write = { bucket, key: 'key', operation: 'put' } as const;
    const announcement = await first.announce([{ ...write, before: null }]);
    await announcement.committed([{ ...write, versionId: 'v5', order: 5, replica: false }]);
    const [row] = await until(async () => {
      const rows = await outbox.pageRows(bucket, {}, null, 1);
      return (rows[0]?.attempts ?? 0) > 0 ? rows : null;
    }, 'the first try');
    assert.notEqual(row?.upload, null);
    assert.equal(await uploads(), 1);
    await first.close();
    await configurations.replaceRules(bucket, [], ANY);
    isCut = false;
    start();
    await until(async () => (await uploads()) === 0, 'the end of the upload');
    await until(async () => (await outbox.strayLanes()).length === 0, 'that it is forgotten');
  });
});

function connect({ target, secretAccessKey }: UsableTarget): TargetClient {
  const clock = createRealClock();
  const lookup = (): never => assert.fail('no name is looked up');
  return createTargetClient({
    connection: { ...target, endpoint: parseEndpoint(target.endpoint)!, secretAccessKey },
    addresses: createAddressPolicy({ allow: ['127.0.0.0/8'], deny: [], ownAddresses: () => [] }),
    resolver: {
      resolve: (name) =>
        new BoundedResolver({ lookup, clock, concurrency: 1 }).resolve(name, 'owner'),
    },
    clock: { ...clock, wallClockMs: Date.now },
    connections: 4,
  });
}
