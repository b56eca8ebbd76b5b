/** Tags that go after the object, or alone, or not at all. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import type { RequestFailure } from '../../src/model/delivery.ts';
import { DENIED, RESET } from './fake-target.ts';
import { claim, row } from './fixtures.ts';
import { delivered, MIB, setUpDelivery, UNPROVEN } from './one-delivery.ts';

describe('delivery of tags', () => {
  const tags = { c: 'd' };
  const answer = (status: number, code: string): RequestFailure => ({ ...DENIED, status, code });

  function withTags(size = 4) {
    const made = setUpDelivery();
    made.target.tagsFollow = true;
    made.host.put('v5', randomBytes(size), { tags });
    return made;
  }

  for (const size of [4, 9 * MIB]) {
    it(`sends those that are too long by themselves, of ${size} bytes`, async () => {
      const { target, deliverOne } = withTags(size);
      const { tagsRefused, bytes } = await delivered(deliverOne(claim(row())));
      assert.deepEqual([tagsRefused, bytes], [false, size]);
      assert.equal(target.log.at(-1), 'tag');
      assert.deepEqual(target.objects.get('key')?.tags, tags);
    });
  }

  it('says so where the target takes the object only without', async () => {
    const { target, deliverOne } = withTags();
    target.refusesTags = true;
    const { tagsRefused } = await delivered(deliverOne(claim(row())));
    assert.ok(tagsRefused);
    assert.deepEqual(target.log, ['put']);
  });

  const refusals: readonly RequestFailure[] = [
    answer(403, 'AccessDenied'),
    answer(400, 'InvalidArgument'),
    answer(405, 'MethodNotAllowed'),
    answer(501, 'NotImplemented'),
  ];
  for (const failure of refusals) {
    it(`delivers without those that follow where they are refused (${failure.code})`, async () => {
      const { target, deliverOne } = withTags();
      target.fail = (operation) => (operation === 'tag' ? failure : null);
      const { tagsRefused } = await delivered(deliverOne(claim(row())));
      assert.ok(tagsRefused);
    });
  }

  const failures: readonly RequestFailure[] = [
    RESET,
    answer(500, 'InternalError'),
    answer(503, 'SlowDown'),
    UNPROVEN,
  ];
  for (const failure of failures) {
    const name = failure.code ?? failure.stage;
    it(`ends with both, or in doubt: then the tags alone are sent (${name})`, async () => {
      const { target, deliverOne } = withTags();
      target.fail = (operation) => (operation === 'tag' ? failure : null);
      const broken = await deliverOne(claim(row()));
      assert.ok(broken.kind === 'failed' && broken.failure.ambiguous, 'the next try looks first');
      target.fail = () => null;
      target.log.length = 0;
      const { wasThere, tagsRefused } = await delivered(deliverOne(claim(row({ doubtUntil: 1 }))));
      assert.deepEqual([wasThere, tagsRefused], [true, false]);
      assert.deepEqual(target.log, ['head', 'tag']);
      assert.deepEqual(target.objects.get('key')?.tags, tags);
    });
  }

  // What is wrong with who asks, from where or when is no answer to the tags.
  const notOfTags: readonly RequestFailure[] = [
    answer(403, 'SignatureDoesNotMatch'),
    answer(403, 'RequestTimeTooSkewed'),
    answer(403, 'InvalidAccessKeyId'),
    answer(400, 'ExpiredToken'),
    answer(400, 'RequestTimeout'),
    answer(404, 'NoSuchBucket'),
  ];
  for (const failure of notOfTags) {
    it(`tags that follow are not given up for ${failure.code}`, async () => {
      const { target, deliverOne } = withTags();
      target.fail = (operation) => (operation === 'tag' ? failure : null);
      assert.equal((await deliverOne(claim(row()))).kind, 'failed');
    });
  }

  for (const failure of [answer(400, 'ExpiredToken'), answer(400, 'RequestTimeout')]) {
    it(`tags in doubt are not given up for ${failure.code}`, async () => {
      const { target, deliverOne } = withTags();
      await delivered(deliverOne(claim(row())));
      target.fail = (operation) => (operation === 'tag' ? failure : null);
      assert.equal((await deliverOne(claim(row({ doubtUntil: 1 })))).kind, 'failed');
    });
  }

  it('sends those of an upload that is resumed again: how it began is not known', async () => {
    const { target, deliverOne } = withTags(9 * MIB);
    target.fail = (operation, part) => (operation === 'part' && part === 2 ? RESET : null);
    const broken = await deliverOne(claim(row()));
    assert.ok(broken.kind === 'failed' && broken.upload !== null);
    target.fail = () => null;
    const { uploadId } = await delivered(deliverOne(claim(row({ upload: broken.upload }))));
    assert.equal(uploadId, broken.upload.uploadId);
    assert.deepEqual(target.objects.get('key')?.tags, tags);
  });

  it('removes those of a target that does not count them', async () => {
    const { host, target, deliverOne } = setUpDelivery();
    target.countsTags = false;
    host.put('v5', Buffer.from('five'), { tags });
    await delivered(deliverOne(claim(row())));
    host.put('v6', Buffer.from('five'));
    target.log.length = 0;
    const removal = row({ versionId: 'v6', order: 6, doubtUntil: 1 });
    await delivered(deliverOne(claim(removal)));
    assert.deepEqual(target.log, ['head', 'tag']);
    assert.deepEqual(target.objects.get('key')?.tags, {});
  });

  it('sends all of it where tags may not be set by themselves', async () => {
    const { host, target, deliverOne } = setUpDelivery();
    target.countsTags = false;
    host.put('v5', Buffer.from('five'), { tags });
    await delivered(deliverOne(claim(row())));
    host.put('v6', Buffer.from('five'));
    target.fail = (operation) => (operation === 'tag' ? DENIED : null);
    target.log.length = 0;
    await delivered(deliverOne(claim(row({ versionId: 'v6', order: 6, doubtUntil: 1 }))));
    assert.deepEqual(target.log, ['head', 'tag', 'put']);
    assert.deepEqual(target.objects.get('key')?.tags, {});
  });

  it('says nothing of tags of an object that has none, where the target does no tags', async () => {
    const { host, target, deliverOne } = setUpDelivery();
    target.countsTags = false;
    host.put('v5', Buffer.from('five'));
    await delivered(deliverOne(claim(row())));
    target.fail = (operation) => (operation === 'tag' ? answer(501, 'NotImplemented') : null);
    target.log.length = 0;
    const { wasThere, tagsRefused } = await delivered(deliverOne(claim(row({ doubtUntil: 1 }))));
    assert.deepEqual([wasThere, tagsRefused], [true, false]);
    assert.deepEqual(target.log, ['head', 'tag']);
  });

  it('nothing is refused of an object without tags whose put had no proof', async () => {
    const { host, target, deliverOne } = setUpDelivery();
    target.countsTags = false;
    host.put('v5', Buffer.from('five'));
    await delivered(deliverOne(claim(row())));
    target.fail = (operation) =>
      operation === 'put' ? UNPROVEN : operation === 'tag' ? DENIED : null;
    assert.equal((await delivered(deliverOne(claim(row())))).tagsRefused, false);
  });

  it('does not look past other tags of a version that is older than the current one', async () => {
    const { host, target, deliverOne } = setUpDelivery();
    host.put('v5', Buffer.from('five'));
    host.put('v6', Buffer.from('six'), { tags });
    await delivered(deliverOne(claim(row({ versionId: 'v6', order: 6 }))));
    target.log.length = 0;
    const { upTo } = await delivered(deliverOne(claim(row({ doubtUntil: 1 }), true)));
    assert.equal(upTo, 5);
    assert.ok(target.log.includes('put'), target.log.join());
  });

  it('sends only the tags where all else is there', async () => {
    const { host, target, deliverOne } = setUpDelivery();
    host.put('v5', Buffer.from('five'), { tags: { a: 'b' } });
    await delivered(deliverOne(claim(row())));
    host.put('v6', Buffer.from('five'), { tags: { c: 'd' } });
    target.log.length = 0;
    await delivered(deliverOne(claim(row({ versionId: 'v6', order: 6, doubtUntil: 1 }))));
    assert.ok(!target.log.includes('put'), target.log.join());
    assert.deepEqual(target.objects.get('key')?.tags, { c: 'd' });
  });
});
