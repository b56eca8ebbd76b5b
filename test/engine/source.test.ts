import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, it } from 'node:test';
import { SourceFailure } from '../../src/egress/request-body.ts';
import { readBytes, readMd5, type SourceHost } from '../../src/engine/source.ts';
import { BUCKET, head } from './fixtures.ts';

const REF = { bucket: BUCKET, key: 'key', versionId: 'v5' };

/** A host whose versions have that body, or none. */
function hostOf(body: Readable | null): SourceHost {
  return {
    headCurrent: async () => null,
    openObject: async () => (body === null ? null : { head: head(), body }),
  };
}

describe('reading a version from the host', () => {
  it('joins its chunks', async () => {
    const bytes = await readBytes(
      hostOf(Readable.from([Buffer.from('ab'), Buffer.from('c')])),
      REF,
      3,
    );
    assert.equal(bytes?.toString(), 'abc');
  });

  it('is nothing where the version is gone', async () => {
    assert.equal(await readBytes(hostOf(null), REF, 3), null);
    assert.equal(await readMd5(hostOf(null), REF), null);
  });

  it('fails where the stream fails, closes early, is closed already, or has another length', async () => {
    const failing = new Readable({
      read() {
        this.push('ab');
        this.destroy(new Error('the disk'));
      },
    });
    const closing = new Readable({
      read() {
        this.push('ab');
        this.destroy();
      },
    });
    const closed = new Readable({ read: () => undefined });
    closed.destroy();
    await new Promise((resolve) => closed.once('close', resolve));
    for (const body of [failing, closing, closed, Readable.from([Buffer.from('ab')])]) {
      await assert.rejects(readBytes(hostOf(body), REF, 3), SourceFailure);
    }
  });
});
