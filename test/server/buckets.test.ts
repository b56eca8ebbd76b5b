import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openServerDatabase } from '../../src/server/database.ts';
import { Buckets, isBucketName } from '../../src/server/buckets.ts';
import { temporaryServerDatabase } from '../support/server-database.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';

const clock = (): number => 1_700_000_000_000;

describe('bucket names', () => {
  const cases: readonly { name: string; ok: boolean; why: string }[] = [
    { name: 'abc', ok: true, why: 'three characters are the least' },
    { name: 'ab', ok: false, why: 'two are too few' },
    { name: 'a'.repeat(63), ok: true, why: '63 are the most' },
    { name: 'a'.repeat(64), ok: false, why: '64 are too many' },
    { name: '', ok: false, why: 'empty' },
    { name: 'a.b-c', ok: true, why: 'dots and hyphens inside' },
    { name: '123', ok: true, why: 'digits alone' },
    { name: '-abc', ok: false, why: 'starts with a hyphen' },
    { name: 'abc.', ok: false, why: 'ends with a dot' },
    { name: 'a..b', ok: false, why: 'two dots' },
    { name: 'Abc', ok: false, why: 'upper case' },
    { name: 'a_b', ok: false, why: 'underscore' },
    { name: '192.168.5.4', ok: false, why: 'an IPv4 address' },
    { name: '192.168.5.4a', ok: true, why: 'not quite an IPv4 address' },
    { name: 'abc\n', ok: false, why: 'a line break at the end' },
    { name: 'a\0c', ok: false, why: 'NUL' },
    { name: 'a/c', ok: false, why: 'a slash' },
    { name: 'a%2fc', ok: false, why: 'an encoded slash' },
    { name: 'äbc', ok: false, why: 'not ASCII' },
  ];
  for (const { name, ok, why } of cases) {
    it(`${ok ? 'accepts' : 'refuses'} ${JSON.stringify(name.slice(0, 20))}: ${why}`, () => {
      assert.equal(isBucketName(name), ok);
    });
  }
});

describe('buckets', () => {
  it('creates, finds, lists by owner and changes versioning', async (t) => {
    const buckets = new Buckets({ database: await temporaryServerDatabase(t), clock });
    const made = await buckets.create({ name: 'beta', ownerId: 'u1', versioningEnabled: true });
    await buckets.create({ name: 'alpha', ownerId: 'u1', versioningEnabled: false });
    await buckets.create({ name: 'gamma', ownerId: 'u10', versioningEnabled: false });
    assert.deepEqual(buckets.find('beta'), made);
    assert.equal(made.versioning, 'Enabled');
    assert.equal(made.createdAt, clock());
    assert.deepEqual(
      buckets.list('u1').map(({ name, versioning }) => [name, versioning]),
      [
        ['alpha', 'Disabled'],
        ['beta', 'Enabled'],
      ],
    );
    assert.equal((await buckets.setVersioning('beta', 'Suspended')).id, made.id);
    assert.equal(buckets.find('beta')?.versioning, 'Suspended');
  });

  it('finds nothing under text that cannot be a key of LMDB', async (t) => {
    const buckets = new Buckets({ database: await temporaryServerDatabase(t), clock });
    for (const name of ['\0', 'x'.repeat(5000), '\ud800', '']) {
      assert.equal(buckets.find(name), null);
    }
  });

  it('refuses names of paths that the server answers itself', async (t) => {
    const buckets = new Buckets({ database: await temporaryServerDatabase(t), clock });
    for (const name of ['api', 'livez', 'readyz', 'metrics']) {
      await assert.rejects(buckets.create({ name, ownerId: 'u1', versioningEnabled: false }), {
        code: 'InvalidBucketName',
      });
    }
  });

  it('lets exactly one of 100 parallel creates of one name win', async (t) => {
    const buckets = new Buckets({ database: await temporaryServerDatabase(t), clock });
    const results = await Promise.allSettled(
      Array.from({ length: 100 }, (_, index) =>
        buckets.create({
          name: 'contested',
          ownerId: `u${index % 2}`,
          versioningEnabled: false,
        }),
      ),
    );
    const won = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    assert.equal(won.length, 1);
    assert.deepEqual(buckets.find('contested'), won[0]);
    const codes = results.flatMap((result) =>
      result.status === 'rejected' ? [(result.reason as { code: string }).code] : [],
    );
    const winner = won[0]!.ownerId;
    assert.equal(codes.filter((code) => code === 'BucketAlreadyOwnedByYou').length, 49);
    assert.equal(codes.filter((code) => code === 'BucketAlreadyExists').length, 50);
    assert.equal(buckets.list(winner).length, 1);
    assert.equal(buckets.list(winner === 'u0' ? 'u1' : 'u0').length, 0);
  });

  it('keeps a bucket whose guard throws, and everything about it', async (t) => {
    const buckets = new Buckets({ database: await temporaryServerDatabase(t), clock });
    const made = await buckets.create({ name: 'full', ownerId: 'u1', versioningEnabled: false });
    const refusal = new Error('not empty');
    await assert.rejects(
      buckets.remove('full', () => {
        throw refusal;
      }),
      refusal,
    );
    assert.deepEqual(buckets.find('full'), made);
    assert.deepEqual(buckets.list('u1'), [made]);
  });

  it('takes back what a guard wrote before it threw', async (t) => {
    const database = await temporaryServerDatabase(t);
    const buckets = new Buckets({ database, clock });
    await buckets.create({ name: 'full', ownerId: 'u1', versioningEnabled: false });
    await assert.rejects(
      buckets.remove('full', () => {
        void database.userIdsByName.put('written', 'by the guard');
        throw new Error('not empty');
      }),
    );
    assert.equal(database.userIdsByName.get('written'), undefined);
  });

  it('resolves no change before it is flushed', async (t) => {
    const database = await temporaryServerDatabase(t);
    let flush: (() => void) | null = null;
    const { commits } = database;
    const run = commits.run.bind(commits);
    commits.run = async (work) => {
      const result = await run(work);
      await new Promise<void>((resolve) => (flush = resolve));
      return result;
    };
    const buckets = new Buckets({ database, clock });
    const changes: (() => Promise<unknown>)[] = [
      () => buckets.create({ name: 'abc', ownerId: 'u1', versioningEnabled: true }),
      () => buckets.setVersioning('abc', 'Suspended'),
      () => buckets.remove('abc', () => undefined),
    ];
    for (const change of changes) {
      let isDone = false;
      const before = buckets.find('abc');
      const done = change().then(() => (isDone = true));
      const release = await until(() => flush, 'the commit');
      flush = null;
      await until(() => {
        database.root.resetReadTxn();
        return JSON.stringify(buckets.find('abc')) !== JSON.stringify(before);
      }, 'the change');
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(isDone, false);
      release();
      await done;
    }
  });

  it('gives a name that comes back a new id', async (t) => {
    const buckets = new Buckets({ database: await temporaryServerDatabase(t), clock });
    const first = await buckets.create({ name: 'again', ownerId: 'u1', versioningEnabled: false });
    const seen: string[] = [];
    await buckets.remove('again', ({ id }) => seen.push(id));
    assert.deepEqual(seen, [first.id]);
    assert.equal(buckets.find('again'), null);
    assert.deepEqual(buckets.list('u1'), []);
    const second = await buckets.create({ name: 'again', ownerId: 'u2', versioningEnabled: false });
    assert.notEqual(second.id, first.id);
  });

  it('answers changes of what is not there with NoSuchBucket', async (t) => {
    const buckets = new Buckets({ database: await temporaryServerDatabase(t), clock });
    await assert.rejects(
      buckets.remove('nothing', () => undefined),
      { code: 'NoSuchBucket' },
    );
    await assert.rejects(buckets.setVersioning('nothing', 'Enabled'), { code: 'NoSuchBucket' });
  });

  it('runs work under one name one after the other, and under two names at once', async (t) => {
    const buckets = new Buckets({ database: await temporaryServerDatabase(t), clock });
    const events: string[] = [];
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const first = buckets.withLock('one', async () => {
      events.push('first in');
      await gate;
      events.push('first out');
    });
    const second = buckets.withLock('one', async () => void events.push('second'));
    await buckets.withLock('two', async () => void events.push('other name'));
    release();
    await Promise.all([first, second]);
    assert.deepEqual(events, ['first in', 'other name', 'first out', 'second']);
  });

  it('gives the lock on when work throws', async (t) => {
    const buckets = new Buckets({ database: await temporaryServerDatabase(t), clock });
    await assert.rejects(
      buckets.withLock('one', async () => {
        throw new Error('broken');
      }),
    );
    assert.equal(await buckets.withLock('one', async (bucket) => bucket), null);
  });

  it('keeps buckets over a restart', async (t) => {
    const directory = temporaryDirectory(t);
    const first = await openServerDatabase(directory);
    const made = await new Buckets({ database: first, clock }).create({
      name: 'kept',
      ownerId: 'u1',
      versioningEnabled: true,
    });
    await first.close();
    const second = await openServerDatabase(directory);
    t.after(() => second.close());
    assert.deepEqual(new Buckets({ database: second, clock }).find('kept'), made);
  });
});
