import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { BodyMemory } from '../../src/engine/body-memory.ts';
import type { Delivery } from '../../src/engine/deliver.ts';
import { LeaseLostError } from '../../src/model/lease.ts';
import type { UploadState } from '../../src/model/row.ts';
import { REFUSED_OBJECT, RESET } from './fake-target.ts';
import { claim, marker, OneKeyHost, resolveRow, row, rule } from './fixtures.ts';
import { delivered, MIB, setUpDelivery } from './one-delivery.ts';

describe('delivery of small objects', () => {
  it('sends the version with its headers, metadata and tags', async () => {
    const { host, target, deliverOne } = setUpDelivery();
    const metadata = {
      systemHeaders: { 'content-type': 'text/plain' },
      userMetadata: { a: 'b' },
      tags: { c: 'd' },
    };
    host.put('v5', Buffer.from('five'), metadata);
    const expected = { upTo: 5, wasThere: false, bytes: 4, tagsRefused: false, uploadId: null };
    assert.deepEqual(await deliverOne(claim(row())), { kind: 'delivered', ...expected });
    const { body, systemHeaders, userMetadata, tags } = target.objects.get('key') ?? {};
    assert.equal(String(body), 'five');
    assert.deepEqual({ systemHeaders, userMetadata, tags }, metadata);
    assert.deepEqual(target.log, ['put']);
  });

  it('sends a version that is no longer current while a later one waits', async () => {
    const { host, target, deliverOne } = setUpDelivery();
    host.put('v5', Buffer.from('five'));
    host.put('v6', Buffer.from('six'));
    await deliverOne(claim(row(), true));
    assert.equal(String(target.objects.get('key')?.body), 'five');
  });

  it('does not send an older version in doubt after the current one, which the target shows', async () => {
    const { host, target, deliverOne } = setUpDelivery();
    host.put('v6', Buffer.from('six'));
    await deliverOne(claim(row({ versionId: 'v6', order: 6 })));
    host.put('v5', Buffer.from('five'));
    host.put('v6', Buffer.from('six'));
    target.log.length = 0;
    const { upTo, wasThere } = await delivered(deliverOne(claim(row({ doubtUntil: 1 }), true)));
    assert.deepEqual({ upTo, wasThere }, { upTo: 6, wasThere: true });
    assert.deepEqual(target.log, ['head']);
  });

  it('sends an older version in doubt where the target shows something else', async () => {
    const { host, target, deliverOne } = setUpDelivery();
    host.put('v5', Buffer.from('five'));
    host.put('v6', Buffer.from('six'));
    const { upTo } = await delivered(deliverOne(claim(row({ doubtUntil: 1 }), true)));
    assert.equal(upTo, 5);
    assert.equal(String(target.objects.get('key')?.body), 'five');
  });

  it('sends no replica, although it was current again for a while', async () => {
    const { host, target, deliverOne } = setUpDelivery();
    host.put('v5', Buffer.from('five'), { replica: true });
    host.put('v6', Buffer.from('six'));
    assert.deepEqual(await deliverOne(claim(row(), true)), { kind: 'nothing', upTo: 5 });
    assert.deepEqual(target.log, []);
  });

  it('asks for another look where that version is gone', async () => {
    const { host, target, deliverOne } = setUpDelivery();
    host.put('v6', Buffer.from('six'));
    assert.deepEqual(await deliverOne(claim(row(), true)), { kind: 'gone', upload: null });
    host.put('v5', Buffer.from('five'));
    host.remove('v5');
    assert.deepEqual(await deliverOne(claim(row())), { kind: 'gone', upload: null });
    assert.deepEqual(target.log, []);
  });

  const comparisons: readonly (readonly [string, string, Record<string, string>, boolean])[] = [
    ['the same', 'five', {}, true],
    ['other bytes of the same length', 'FIVE', {}, false],
    ['other metadata', 'five', { a: 'b' }, false],
    ['another length', 'fiver', {}, false],
  ];
  for (const [name, there, userMetadata, wasThere] of comparisons) {
    it(`compares a row in doubt first: ${name}`, async () => {
      const { host, target, deliverOne } = setUpDelivery();
      const earlier = new OneKeyHost().put('v4', Buffer.from(there), { userMetadata });
      await target.putObject('key', earlier, Buffer.from(there));
      host.put('v5', Buffer.from('five'));
      const delivery = await deliverOne(claim(row({ doubtUntil: 1 })));
      assert.ok(delivery.kind === 'delivered');
      assert.equal(delivery.wasThere, wasThere);
      assert.deepEqual(target.log, wasThere ? ['put', 'head'] : ['put', 'head', 'put']);
      assert.equal(String(target.objects.get('key')?.body), 'five');
    });
  }

  it('deletes, after a look where the row is in doubt', async () => {
    const { host, target, deliverOne } = setUpDelivery();
    host.current = marker({ order: 6 });
    const remove = row({ operation: 'delete', versionId: 'v6', order: 6 });
    await deliverOne(claim(remove));
    const inDoubt = { ...remove, doubtUntil: 1 };
    const again = await deliverOne(claim(inDoubt));
    assert.ok(again.kind === 'delivered' && again.wasThere);
    target.objects.set('key', { ...marker(), body: Buffer.alloc(0) });
    await deliverOne(claim(inDoubt));
    assert.deepEqual(target.log, ['delete', 'head', 'head', 'delete']);
  });

  it('sends nothing that no rule wants', async () => {
    const { host, target, deliverOne } = setUpDelivery({ rules: [] });
    host.put('v5', Buffer.from('five'));
    assert.deepEqual(await deliverOne(claim(row())), { kind: 'unwanted' });
    assert.deepEqual(target.log, []);
  });

  it('does not delete under rules that do not replicate deletes', async () => {
    const { target, deliverOne } = setUpDelivery({ rules: [rule({ replicateDeletes: false })] });
    assert.deepEqual(await deliverOne(claim(resolveRow())), { kind: 'nothing', upTo: 0 });
    assert.deepEqual(target.log, []);
  });

  it('blames the source for what cannot be read there', async () => {
    const { host, target, deliverOne } = setUpDelivery();
    host.put('v5', Buffer.from('five'));
    host.failure = new Error('EIO');
    assert.deepEqual(await deliverOne(claim(row())), { kind: 'source-failed', upload: null });
    host.failure = null;
    host.put('v5', Buffer.from('five'), { size: 5 });
    assert.deepEqual(await deliverOne(claim(row())), { kind: 'source-failed', upload: null });
    assert.deepEqual(target.log, []);
  });
});

describe('delivery of large objects', () => {
  const size = 20 * MIB + 1;
  const body = randomBytes(size);

  function known(uploadId: string, fields: Partial<UploadState> = {}): UploadState {
    return { uploadId, versionId: 'v5', order: 5, partBytes: 8 * MIB, ...fields };
  }

  it('stores the upload id before the first part, and sends parts in parallel', async () => {
    const { host, target, stored, deliverOne } = setUpDelivery();
    host.put('v5', body);
    const delivery = await deliverOne(claim(row()));
    assert.ok(delivery.kind === 'delivered' && delivery.bytes === size);
    assert.deepEqual(target.log.slice(0, 2), ['create', 'store']);
    assert.deepEqual(stored, [known('upload-1')]);
    assert.deepEqual(target.log.filter((entry) => entry.startsWith('part')).sort(), [
      'part 1',
      'part 2',
      'part 3',
    ]);
    assert.equal(target.partsInFlightMax, 3);
    assert.ok(target.objects.get('key')?.body.equals(body));
  });

  it('aborts an upload that could not be stored, and sends no part', async () => {
    const leaseLost = new LeaseLostError();
    const answers: readonly (readonly [() => Promise<boolean>, Delivery | null])[] = [
      [async () => false, { kind: 'unwanted' }],
      [() => Promise.reject(leaseLost), null],
    ];
    for (const [storeUpload, expected] of answers) {
      const { host, target, deliverOne } = setUpDelivery({ storeUpload });
      host.put('v5', body);
      const delivery = deliverOne(claim(row()));
      if (expected === null) await assert.rejects(delivery, leaseLost);
      else assert.deepEqual(await delivery, expected);
      assert.deepEqual(target.log, ['create', 'abort']);
    }
  });

  it('sends one part after the other where no connection is free', async () => {
    const extraConnections = { tryTake: () => false, release: () => undefined };
    const { host, target, deliverOne } = setUpDelivery({ extraConnections });
    host.put('v5', body);
    await deliverOne(claim(row()));
    assert.equal(target.partsInFlightMax, 1);
    assert.ok(target.objects.get('key')?.body.equals(body));
  });

  it('holds no more parts than its memory has room for', async () => {
    const memory = new BodyMemory(2.5 * MIB);
    const { host, target, deliverOne } = setUpDelivery({ memory: memory.of('owner') });
    host.put('v5', body);
    await deliverOne(claim(row()));
    assert.equal(target.partsInFlightMax, 2);
    assert.equal(memory.held, 0);
    assert.ok(target.objects.get('key')?.body.equals(body));
  });

  it('resumes with the parts that are there and whole', async () => {
    const { host, target, deliverOne } = setUpDelivery();
    host.put('v5', body);
    target.fail = (operation, part) => (operation === 'part' && part === 3 ? RESET : null);
    const broken = await deliverOne(claim(row()));
    assert.ok(broken.kind === 'failed');
    assert.deepEqual(broken.upload, known('upload-1'));
    // One of them was damaged on its way.
    target.uploads.get('upload-1')?.set(2, Buffer.alloc(8 * MIB));
    target.fail = () => null;
    target.log.length = 0;
    await deliverOne(claim(row({ upload: broken.upload })));
    assert.deepEqual(target.log.sort(), ['complete', 'list', 'part 2', 'part 3']);
    assert.ok(target.objects.get('key')?.body.equals(body));
  });

  it('knows the upload again where the source fails in the middle of it', async () => {
    const { host, target, deliverOne } = setUpDelivery();
    host.put('v5', body);
    target.fail = (operation) => {
      if (operation === 'create') host.failure = new Error('EIO');
      return null;
    };
    const broken = await deliverOne(claim(row()));
    assert.deepEqual(broken, { kind: 'source-failed', upload: known('upload-1') });
  });

  it('asks for no more parts than the object has, however many are listed', async () => {
    const { host, target, deliverOne } = setUpDelivery();
    host.put('v5', body);
    let pages = 0;
    target.listParts = async (_upload, after = 0) => {
      pages += 1;
      return { ok: true, value: { parts: [], next: pages < 100 ? after + 1 : null } };
    };
    await target.createMultipartUpload('key', { systemHeaders: {}, userMetadata: {}, tags: {} });
    await deliverOne(claim(row({ upload: known('upload-1') })));
    assert.equal(pages, 3);
  });

  it('begins anew where the target has given the upload up', async () => {
    const { host, target, deliverOne } = setUpDelivery();
    host.put('v5', body);
    await deliverOne(claim(row({ upload: known('forgotten') })));
    assert.deepEqual(target.log.slice(0, 3), ['list', 'create', 'store']);
    assert.ok(target.objects.get('key')?.body.equals(body));
  });

  const useless: readonly (readonly [string, Partial<UploadState>])[] = [
    ['of another version', { versionId: 'v4' }],
    ['of another part size', { partBytes: 9 * MIB }],
    ['that began with other tags', { order: 4 }],
  ];
  for (const [name, fields] of useless) {
    it(`aborts an upload ${name}`, async () => {
      const { host, target, deliverOne } = setUpDelivery();
      host.put('v5', body);
      await deliverOne(claim(row({ upload: known('old', fields) })));
      assert.deepEqual(target.log.slice(0, 4), ['abort', 'forget', 'create', 'store']);
    });
  }

  it('aborts the upload of a version that is gone', async () => {
    const { target, deliverOne } = setUpDelivery();
    await deliverOne(claim(resolveRow({ upload: known('old') })));
    assert.deepEqual(target.log, ['abort', 'forget', 'delete']);
  });

  it('aborts the upload of a version that goes between two tries', async () => {
    const { host, target, deliverOne } = setUpDelivery();
    host.put('v5', body);
    host.put('v6', Buffer.from('six'));
    for (const doubtUntil of [null, 1]) {
      target.log.length = 0;
      host.remove('v5');
      const delivery = await deliverOne(claim(row({ upload: known('old'), doubtUntil }), true));
      assert.deepEqual(delivery, { kind: 'gone', upload: null });
      assert.deepEqual(target.log, [...(doubtUntil === null ? [] : ['head']), 'abort', 'forget']);
    }
  });

  it('keeps the upload where the source fails in the middle of it', async () => {
    const { host, target, deliverOne } = setUpDelivery();
    host.put('v5', body);
    target.fail = (operation) => {
      if (operation === 'create') host.failure = new Error('EIO');
      return null;
    };
    const delivery = await deliverOne(claim(row()));
    assert.deepEqual(delivery, { kind: 'source-failed', upload: known('upload-1') });
  });

  it('looks where the target does not say what it made of the parts', async () => {
    const { host, target, deliverOne } = setUpDelivery();
    host.put('v5', body, { tags: { a: 'b' } });
    target.completesSilently = true;
    const delivery = await deliverOne(claim(row()));
    assert.equal(delivery.kind, 'delivered');
    assert.deepEqual(target.log.slice(-2), ['complete', 'head']);
  });

  it('aborts an upload where the object came in another way meanwhile', async () => {
    const { host, target, deliverOne } = setUpDelivery();
    host.put('v5', body);
    await deliverOne(claim(row()));
    target.log.length = 0;
    await deliverOne(claim(row({ doubtUntil: 1, upload: known('old') })));
    assert.deepEqual(target.log, ['head', 'abort', 'forget']);
  });

  it('knows its own object again, and reads it only if all else fits', async () => {
    const { host, target, deliverOne } = setUpDelivery();
    host.put('v5', body);
    await deliverOne(claim(row()));
    target.log.length = 0;
    const inDoubt = claim(row({ doubtUntil: 1 }));
    const same = await deliverOne(inDoubt);
    assert.ok(same.kind === 'delivered' && same.wasThere);
    assert.deepEqual(target.log, ['head']);
    host.opened = 0;
    target.fail = (operation) => (operation === 'create' ? REFUSED_OBJECT : null);
    host.put('v5', body, { userMetadata: { a: 'b' } });
    await deliverOne(inDoubt);
    assert.equal(host.opened, 0);
  });

  it('keeps the upload where its completion may have arrived', async () => {
    const { host, target, deliverOne } = setUpDelivery();
    host.put('v5', body);
    target.fail = (operation) => (operation === 'complete' ? RESET : null);
    const delivery = await deliverOne(claim(row()));
    assert.ok(delivery.kind === 'failed' && delivery.failure.ambiguous);
    assert.deepEqual(delivery.upload, known('upload-1'));
  });
});
