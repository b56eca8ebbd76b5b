/**
 * The whole plugin against whoever wants it to reach an address that no administrator allowed. Targets
 * are saved over the admin API, a hostile DNS answers, objects are written, and the engine tries; what
 * counts is how many connections the listeners at such addresses accepted.
 *
 * Every case tries at least twice, and each of the ways in is shown to be one where it is allowed.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bucket } from '../../src/host.ts';
import { OWNER } from '../support/koa-host.ts';
import { until } from '../support/until.ts';
import { ownAddresses, respondAsS3, type Respond } from './counting-listeners.ts';
import { EgressSite, OWNER_AS_ADMIN, PUBLIC } from './egress-site.ts';

/** Public by the range that it is in; nothing connects to it here. */
const ELSEWHERE = '203.0.113.9';
/** The resolvers' memory, and a little more. */
const ANSWERS_FORGOTTEN_MS = 10_500;
const LARGE = Buffer.alloc(20 * 1024 * 1024, 7);

/** Each of them leads to a listener, were it connected to. */
const SPELLINGS = [
  ...['127.0.0.1', '127.1', '127.0.1', '0x7f000001', '0x7F.1', '0177.0.0.1', '017700000001'],
  ...['2130706433', '127.0.0.1.', '１２７.０.０.１', '127。0。0。1', '%31%32%37.1', '127.0.0.2'],
  ...['0', '0.0.0.0', '0x0', '[::]', '[::1]', '[0:0::0:1]', '[0000:0:0:0:0:0:0.0.0.1]'],
  ...['[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '[::FFFF:127.0.0.2]', '[::127.0.0.1]'],
  ...['[64:ff9b::127.0.0.1]', 'localhost', 'LocalHost.', 'a.localhost', 'ｌｏｃａｌｈｏｓｔ'],
];

describe('a target that no administrator saved', { concurrency: 5 }, () => {
  it('is refused at save in every spelling of an inner address', async (t) => {
    const site = await EgressSite.start(t);
    const bucket = site.host.addBucket('literals');
    const own = ownAddresses()
      .filter((address) => !address.includes('%'))
      .map((address) => (address.includes(':') ? `[${address}]` : address));
    for (const hostname of [...SPELLINGS, ...own]) {
      assert.equal(await site.saveTarget(bucket, hostname), 403, hostname);
      assert.deepEqual(
        (await site.host.request('GET', '/api/v1/buckets/literals/replication/targets')).json,
        { targets: [] },
      );
    }
    assert.equal(site.innerAccepted(), 0);
  });

  it('is not connected to in any spelling that got in before', async (t) => {
    // Whoever saved these needed no administrator: the operator called everything public then.
    const site = await EgressSite.start(t, ['0.0.0.0/0', '::/0']);
    const buckets = [];
    for (const [index, hostname] of SPELLINGS.entries()) {
      buckets.push(await site.replicatingBucket(`spelling-${index}`, hostname));
    }
    for (const bucket of buckets) await site.write(bucket, 'allowed', 'x');
    await until(() => site.innerAccepted() >= SPELLINGS.length / 2, 'connections that are allowed');
    await site.restart(t, []);
    const before = site.innerAccepted();
    for (const bucket of buckets) await site.write(bucket, 'refused', 'x');
    for (const bucket of buckets) await site.tried(bucket);
    for (const bucket of buckets) await site.tryAgain(bucket);
    assert.equal(site.innerAccepted(), before);
    for (const bucket of buckets) await site.refused(bucket);
  });

  const own = ownAddresses();
  const answers: readonly (readonly [name: string, addresses: readonly string[]])[] = [
    ['loopback', ['127.0.0.1']],
    ['another loopback address', ['127.0.0.2']],
    ['IPv6 loopback', ['::1']],
    ['mapped loopback', ['::ffff:127.0.0.1']],
    ['a public address, then loopback', [PUBLIC, '127.0.0.1']],
    ['loopback, then a public address', ['127.0.0.1', PUBLIC]],
    ['many public addresses, then loopback', [...Array<string>(20).fill(PUBLIC), '::1']],
    ['a word that only the system resolves', ['localhost']],
    ['the address of no interface', ['0.0.0.0']],
    ...own.map(
      (address) =>
        [
          `this machine, ${address.includes(':') ? 'IPv6' : 'IPv4'} ${own.indexOf(address)}`,
          [address],
        ] as const,
    ),
  ];
  for (const [name, addresses] of answers) {
    it(`is not connected to where its name changes after the save to ${name}`, async (t) => {
      const site = await EgressSite.start(t);
      // The save asks once, and the engine after it.
      site.names.set('rebound.test', (count) => (count === 1 ? [ELSEWHERE] : addresses));
      site.names.set('unanswered.test', () => addresses);
      const rebound = await site.replicatingBucket('rebound', 'rebound.test');
      site.names.delete('unanswered.test');
      const unanswered = await site.replicatingBucket('unanswered', 'unanswered.test');
      site.names.set('unanswered.test', () => addresses);
      for (const bucket of [rebound, unanswered]) {
        await site.write(bucket, 'small', 'x');
        await site.write(bucket, 'large', LARGE);
        await site.write(bucket, 'gone', null);
      }
      for (const bucket of [rebound, unanswered]) {
        await site.tried(bucket);
        for (let round = 0; round < 3; round++) await site.tryAgain(bucket);
      }
      assert.equal(site.innerAccepted(), 0);
      // A name with one address too many is no name of the others either.
      assert.equal(site.at(PUBLIC).accepted(), 0);
      for (const bucket of [rebound, unanswered]) {
        assert.equal((await site.tasks(bucket)).length, 3);
        await site.refused(bucket);
      }
    });
  }

  it('is delivered to where all its addresses are public', async (t) => {
    const site = await EgressSite.start(t);
    site.names.set('honest.test', (count) => (count === 1 ? [ELSEWHERE] : [PUBLIC, PUBLIC]));
    const bucket = await site.replicatingBucket('honest', 'honest.test');
    await site.write(bucket, 'small', 'x');
    await site.write(bucket, 'large', LARGE);
    await site.drained(bucket);
    assert.ok(site.at(PUBLIC).accepted() >= 6);
    assert.equal(site.innerAccepted(), 0);
  });
});

describe('a name that leads elsewhere in the course of time', () => {
  it('is refused at every kind of request that comes after', async (t) => {
    const site = await EgressSite.start(t);
    let hasFlipped = false;
    const flip = (): readonly string[] => [hasFlipped ? '127.0.0.1' : PUBLIC];
    site.at(PUBLIC).respond = breakAt((request) => !/[?]uploads=|^HEAD .*resumed/.test(request));
    const buckets = [];
    for (const name of ['resumed', 'aborted', 'compared', 'probed']) {
      site.names.set(`${name}.test`, flip);
      buckets.push(await site.replicatingBucket(name, `${name}.test`));
    }
    const [resumed, aborted, compared, probed] = buckets as [Bucket, Bucket, Bucket, Bucket];
    site.names.set('resaved.test', () => ['127.0.0.1']);
    const resaved = await site.replicatingBucket('resaved', 'resaved.test', OWNER_AS_ADMIN);
    await site.write(resaved, 'allowed', 'x');
    await site.drained(resaved);
    await site.write(resumed, 'resumed', LARGE);
    await site.write(aborted, 'aborted', LARGE);
    await site.write(compared, 'compared', 'x');
    await site.write(probed, 'probed', 'x');
    const seen = (request: RegExp) =>
      until(() => site.at(PUBLIC).requests.some((text) => request.test(text)), String(request));
    await seen(/^PUT .*aborted\?partNumber=/);
    site.shelf.remove(aborted, 'aborted');
    for (const bucket of [resumed, aborted, compared]) await site.tryAgain(bucket);
    await seen(/^GET .*resumed\?.*uploadId=/);
    await seen(/^DELETE .*aborted\?uploadId=/);
    await seen(/^HEAD .*compared/);
    hasFlipped = true;
    site.names.delete('resaved.test');
    const accepted = site.innerAccepted();
    await sleep(ANSWERS_FORGOTTEN_MS);
    assert.equal(await site.saveTarget(resaved, 'resaved.test', OWNER), 200);
    site.names.set('resaved.test', () => ['127.0.0.1']);
    await site.write(resaved, 'refused', 'x');
    for (const bucket of [resumed, aborted, compared, resaved]) {
      for (let round = 0; round < 4; round++) await site.tryAgain(bucket);
    }
    assert.equal(site.innerAccepted(), accepted);
    // Nobody asks for the last one: the lane's own probe does.
    for (const bucket of [resumed, aborted, compared, resaved, probed]) await site.refused(bucket);
    assert.equal(site.innerAccepted(), accepted);
  });
});

/** Breaks the connection at some requests. */
function breakAt(isBroken: (request: string) => boolean): Respond {
  return (request, response) => {
    if (isBroken(`${request.method} ${request.url}`)) request.socket.destroy();
    else respondAsS3(request, response);
  };
}

describe('a target that an administrator saved', { concurrency: 4 }, () => {
  for (const status of [301, 302, 303, 307, 308]) {
    it(`is not followed to another listener that it redirects to with ${status}`, async (t) => {
      const site = await EgressSite.start(t);
      const [inner, other] = [site.at('127.0.0.1'), site.at('127.0.0.2')];
      inner.respond = (_request, response) => {
        const location = `http://127.0.0.2:${site.port}/backup-bucket/small`;
        response.writeHead(status, { location, 'x-amz-bucket-region': 'us-east-1' }).end();
      };
      const bucket = await site.replicatingBucket('redirected', '127.0.0.1', OWNER_AS_ADMIN);
      await site.write(bucket, 'small', 'x');
      await site.write(bucket, 'large', LARGE);
      await site.write(bucket, 'gone', null);
      await until(() => inner.accepted() >= 1, 'a request to be redirected');
      for (let round = 0; round < 3; round++) await site.tryAgain(bucket);
      assert.ok(inner.requests.length >= 3);
      assert.equal(other.accepted(), 0);
      assert.equal(site.innerAccepted(), inner.accepted());
    });
  }

  const others = ownAddresses();
  it('is not connected to at a kind of address that the save did not find', async (t) => {
    const site = await EgressSite.start(t);
    const kinds = site.reachable(others);
    assert.ok(kinds.length > 0, 'this machine has no address but loopback');
    for (const [index, address] of kinds.entries()) {
      const name = `other-kind-${index}.test`;
      site.names.set(name, (count) => (count === 1 ? ['127.0.0.1'] : [address]));
      const bucket = await site.replicatingBucket(`other-kind-${index}`, name, OWNER_AS_ADMIN);
      await site.write(bucket, 'small', 'x');
      await site.tried(bucket);
      await site.tryAgain(bucket);
      assert.equal(site.at(address).accepted(), 0);
      await site.refused(bucket);
    }
    assert.equal(site.innerAccepted(), 0);
    site.names.set('same-kind.test', (count) => (count === 1 ? ['127.0.0.1'] : ['127.0.0.2']));
    const bucket = await site.replicatingBucket('same-kind', 'same-kind.test', OWNER_AS_ADMIN);
    await site.write(bucket, 'small', 'x');
    await site.drained(bucket);
    assert.equal(site.at('127.0.0.2').accepted(), 1);
  });

  it('loses what the administrator allowed when somebody else saves it', async (t) => {
    const site = await EgressSite.start(t);
    const inner = site.at('127.0.0.1');
    site.names.set('inner.test', () => ['127.0.0.1']);
    const bucket = await site.replicatingBucket('inherited', 'inner.test', OWNER_AS_ADMIN);
    await site.write(bucket, 'allowed', 'x');
    await site.drained(bucket);
    assert.equal(inner.accepted(), 1);
    assert.equal(await site.saveTarget(bucket, 'inner.test', OWNER), 403);
    await site.write(bucket, 'still allowed', 'x');
    await site.drained(bucket);
    assert.equal(inner.accepted(), 2);
    // The save may ask for a name that it does not know yet, and gets no answer.
    site.names.set('inner.test.', (count) => {
      if (count === 1) throw new Error('Later.');
      return ['127.0.0.1'];
    });
    assert.equal(await site.saveTarget(bucket, 'inner.test.', OWNER), 200);
    await site.write(bucket, 'refused', 'x');
    await site.write(bucket, 'refused and large', LARGE);
    await site.tried(bucket);
    for (let round = 0; round < 3; round++) await site.tryAgain(bucket);
    assert.equal(inner.accepted(), 2);
    await site.refused(bucket);
  });

  it('gets no further connection for what is under way when somebody else saves it', async (t) => {
    const site = await EgressSite.start(t);
    const inner = site.at('127.0.0.1');
    const held: (() => void)[] = [];
    inner.respond = (request, response) => {
      const isPart = request.url?.includes('partNumber=') === true;
      if (isPart) held.push(() => respondAsS3(request, response));
      else respondAsS3(request, response);
    };
    site.names.set('inner.test', () => ['127.0.0.1']);
    const bucket = await site.replicatingBucket('under-way', 'inner.test', OWNER_AS_ADMIN);
    await site.write(bucket, 'large', Buffer.alloc(25 * 1024 * 1024));
    await until(() => held.length === 4, 'the four parts to be under way');
    site.names.set('inner.test.', (count) => {
      if (count === 1) throw new Error('Later.');
      return ['127.0.0.1'];
    });
    assert.equal(await site.saveTarget(bucket, 'inner.test.', OWNER), 200);
    const before = inner.accepted();
    await site.write(bucket, 'small', 'x');
    await site.refused(bucket);
    for (const respond of held.splice(0)) respond();
    for (let round = 0; round < 3; round++) await site.tryAgain(bucket);
    assert.equal(inner.accepted(), before);
  });
});
