/** Targets that refuse what only helps, and answers that prove nothing. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import type { RequestFailure } from '../../src/model/delivery.ts';
import { DENIED, RESET } from './fake-target.ts';
import { claim, marker, row } from './fixtures.ts';
import { delivered, MIB, setUpDelivery, UNPROVEN } from './one-delivery.ts';

describe('delivery to targets that refuse what helps', () => {
  const refused = (status: number): RequestFailure => ({ ...DENIED, status });

  for (const status of [403, 405, 501]) {
    it(`sends what is in doubt where HEAD is refused (${status})`, async () => {
      const { host, target, deliverOne } = setUpDelivery();
      host.put('v5', Buffer.from('five'));
      target.fail = (operation) => (operation === 'head' ? refused(status) : null);
      await delivered(deliverOne(claim(row({ doubtUntil: 1 }))));
      assert.deepEqual(target.log, ['head', 'put']);
      host.current = null;
      await delivered(deliverOne(claim(row({ operation: 'delete', doubtUntil: 1 }))));
      assert.equal(target.objects.size, 0);
    });

    it(`begins a large object anew where parts may not be listed (${status})`, async () => {
      const { host, target, deliverOne, stored } = setUpDelivery();
      host.put('v5', randomBytes(9 * MIB));
      target.uploads.set('old', new Map());
      target.fail = (operation) => (operation === 'list' ? refused(status) : null);
      const upload = { uploadId: 'old', versionId: 'v5', order: 5, partBytes: 8 * MIB };
      await delivered(deliverOne(claim(row({ upload }))));
      assert.equal(stored.at(-1)?.uploadId, 'upload-1');
      assert.ok(!target.log.includes('abort'), 'the store knows the old one as a stray');
    });
  }

  it('begins a large object anew where the request for its parts is not understood', async () => {
    const { host, target, deliverOne, stored } = setUpDelivery();
    host.put('v5', randomBytes(9 * MIB));
    target.uploads.set('old', new Map());
    const unknown = { ...refused(400), code: 'InvalidArgument' };
    target.fail = (operation) => (operation === 'list' ? unknown : null);
    const upload = { uploadId: 'old', versionId: 'v5', order: 5, partBytes: 8 * MIB };
    await delivered(deliverOne(claim(row({ upload }))));
    assert.equal(stored.at(-1)?.uploadId, 'upload-1');
  });

  it('looks again for a completed upload without an ETag where HEAD fails otherwise', async () => {
    const { host, target, deliverOne } = setUpDelivery();
    host.put('v5', randomBytes(9 * MIB));
    target.completesSilently = true;
    const connect: RequestFailure = { stage: 'connect', code: 'ECONNREFUSED', ambiguous: false };
    target.fail = (operation) => (operation === 'head' ? connect : null);
    const delivery = await deliverOne(claim(row()));
    assert.ok(delivery.kind === 'failed' && delivery.failure.ambiguous, 'in doubt');
  });

  it('believes a put without proof only where HEAD shows the object', async () => {
    const { host, target, deliverOne } = setUpDelivery();
    host.put('v5', Buffer.from('five'));
    target.fail = (operation) => (operation === 'put' ? UNPROVEN : null);
    assert.equal((await deliverOne(claim(row()))).kind, 'failed');
    target.fail = () => null;
    await delivered(deliverOne(claim(row())));
    target.fail = (operation) => (operation === 'put' ? UNPROVEN : null);
    await delivered(deliverOne(claim(row())));
    target.fail = (operation) => (operation === 'put' ? UNPROVEN : refused(403));
    const delivery = await deliverOne(claim(row()));
    assert.ok(delivery.kind === 'failed' && delivery.failure.stage === 'unproven');
  });

  it('believes a delete without proof only where HEAD finds nothing', async () => {
    const { host, target, deliverOne } = setUpDelivery();
    host.put('v5', Buffer.from('five'));
    await delivered(deliverOne(claim(row())));
    host.current = null;
    target.fail = (operation) => (operation === 'delete' ? UNPROVEN : null);
    assert.equal((await deliverOne(claim(row({ operation: 'delete' })))).kind, 'failed');
    target.objects.clear();
    await delivered(deliverOne(claim(row({ operation: 'delete' }))));
  });

  for (const failure of [RESET, { ...DENIED, status: 500, code: 'InternalError' }]) {
    it(`tries again where HEAD fails otherwise (${failure.code})`, async () => {
      const { host, target, deliverOne } = setUpDelivery();
      host.put('v5', Buffer.from('five'));
      target.fail = (operation) => (operation === 'head' ? failure : null);
      assert.equal((await deliverOne(claim(row({ doubtUntil: 1 })))).kind, 'failed');
      host.current = null;
      const remove = row({ operation: 'delete', doubtUntil: 1 });
      assert.equal((await deliverOne(claim(remove))).kind, 'failed');
      assert.deepEqual(target.log, ['head', 'head']);
    });

    it(`keeps the upload where its parts cannot be listed now (${failure.code})`, async () => {
      const { host, target, deliverOne } = setUpDelivery();
      host.put('v5', randomBytes(9 * MIB));
      target.uploads.set('old', new Map());
      target.fail = (operation) => (operation === 'list' ? failure : null);
      const upload = { uploadId: 'old', versionId: 'v5', order: 5, partBytes: 8 * MIB };
      const delivery = await deliverOne(claim(row({ upload })));
      assert.ok(delivery.kind === 'failed');
      assert.deepEqual(delivery.upload, upload);
      assert.deepEqual(target.log, ['list']);
    });
  }

  it('does not believe a put without proof where HEAD shows another object', async () => {
    const { host, target, deliverOne } = setUpDelivery();
    await target.putObject('key', marker(), Buffer.from('FIVE'));
    host.put('v5', Buffer.from('five'));
    target.fail = (operation) => (operation === 'put' ? UNPROVEN : null);
    const delivery = await deliverOne(claim(row()));
    assert.ok(delivery.kind === 'failed' && delivery.failure.stage === 'unproven');
    assert.ok(delivery.failure.ambiguous);
  });

  it('does not believe a delete without proof where HEAD is denied', async () => {
    const { target, deliverOne } = setUpDelivery();
    target.fail = (operation) => (operation === 'delete' ? UNPROVEN : refused(403));
    const delivery = await deliverOne(claim(row({ operation: 'delete' })));
    assert.ok(delivery.kind === 'failed' && delivery.failure.stage === 'unproven');
  });

  it('believes a completed upload without an ETag where HEAD is denied, and no other', async () => {
    for (const [isProven, expected] of [
      [true, 'delivered'],
      [false, 'failed'],
    ] as const) {
      const { host, target, deliverOne } = setUpDelivery();
      host.put('v5', randomBytes(9 * MIB));
      target.completesSilently = true;
      target.fail = (operation) => {
        if (operation === 'head') return refused(403);
        return operation === 'complete' && !isProven ? UNPROVEN : null;
      };
      assert.equal((await deliverOne(claim(row()))).kind, expected);
    }
  });

  it('says that an upload may have begun where the answer to its creation was lost', async () => {
    for (const failure of [RESET, { ...UNPROVEN, status: 200 }, DENIED]) {
      const lost: number[] = [];
      const { host, target, deliverOne } = setUpDelivery({
        onCreationLost: (begunAt) => void lost.push(begunAt),
        nowMs: () => 77,
      });
      host.put('v5', randomBytes(9 * MIB));
      target.fail = (operation) => (operation === 'create' ? failure : null);
      assert.equal((await deliverOne(claim(row()))).kind, 'failed');
      assert.deepEqual(lost, failure.ambiguous ? [77] : []);
    }
  });

  it('tells of each upload that it begins', async () => {
    const created: string[] = [];
    const { host, deliverOne } = setUpDelivery({
      onCreated: (uploadId) => void created.push(uploadId),
    });
    host.put('v5', randomBytes(9 * MIB));
    await delivered(deliverOne(claim(row())));
    assert.deepEqual(created, ['upload-1']);
  });
});
