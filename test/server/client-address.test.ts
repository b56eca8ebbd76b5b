import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { clientAddress, clientOf, trustedProxies } from '../../src/server/client-address.ts';
import { KnownLogins } from '../../src/server/known-logins.ts';

const isTrusted = trustedProxies(['10.0.0.0/8', '192.0.2.7', '2001:db8:aa::/48', '::1']);

describe("a client's address", () => {
  const cases: readonly [what: string, peer: string, forwarded: string | undefined, is: string][] =
    [
      ['nobody in between', '203.0.113.5', undefined, '203.0.113.5'],
      ['a header of a peer that is not trusted', '203.0.113.5', '198.51.100.1', '203.0.113.5'],
      ['one proxy', '10.0.0.1', '203.0.113.5', '203.0.113.5'],
      ['a header that the client began', '10.0.0.1', '198.51.100.1, 203.0.113.5', '203.0.113.5'],
      ['several proxies', '10.0.0.1', '6.6.6.6, 203.0.113.5, 10.1.1.1,192.0.2.7', '203.0.113.5'],
      ['proxies alone', '10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
      ['no header of a proxy', '10.0.0.1', undefined, '10.0.0.1'],
      ['an empty header', '10.0.0.1', '', '10.0.0.1'],
      ['a peer that is written as IPv6', '::ffff:10.0.0.1', '203.0.113.5', '203.0.113.5'],
      ['a peer that is written as IPv6 in hex', '::ffff:a00:1', '203.0.113.5', '203.0.113.5'],
      ['an entry that is written as IPv6', '10.0.0.1', '::ffff:203.0.113.5', '203.0.113.5'],
      [
        'a proxy that is written as IPv6',
        '10.0.0.1',
        '203.0.113.5, ::FFFF:10.0.0.9',
        '203.0.113.5',
      ],
      ['IPv6', '2001:db8:aa::1', '2001:DB8:0:0::5', '2001:db8::5'],
      ['IPv6 with a zone', '::1', 'fe80::1%eth0', 'fe80::1'],
      ['a port', '10.0.0.1', '203.0.113.5:4711', '203.0.113.5'],
      ['a port after IPv6', '10.0.0.1', '[2001:db8::5]:4711', '2001:db8::5'],
      ['rubbish at the right end', '10.0.0.1', '203.0.113.5, rubbish', '10.0.0.1'],
      ['rubbish in the middle', '10.0.0.1', '203.0.113.5, rubbish, 10.0.0.2', '10.0.0.2'],
      ['an empty entry', '10.0.0.1', '203.0.113.5,,10.0.0.2', '10.0.0.2'],
      ['"unknown"', '10.0.0.1', '203.0.113.5, unknown', '10.0.0.1'],
      ['octal numbers', '10.0.0.1', '0313.0.0161.05', '10.0.0.1'],
      ['one number', '10.0.0.1', '3405803781', '10.0.0.1'],
      ['a number too high', '10.0.0.1', '256.1.1.1', '10.0.0.1'],
      ['a network', '10.0.0.1', '203.0.113.0/24', '10.0.0.1'],
      ['a peer that is gone', '', '203.0.113.5', 'unknown'],
      ['a very long list', '10.0.0.1', `203.0.113.5${', 10.0.0.2'.repeat(1_500)}`, '203.0.113.5'],
    ];
  for (const [what, peer, forwarded, expected] of cases) {
    it(`is found with ${what}`, () => {
      assert.equal(clientAddress(peer, forwarded, isTrusted), expected);
    });
  }

  it('believes nobody where no proxy is trusted', () => {
    assert.equal(clientAddress('127.0.0.1', '203.0.113.5', trustedProxies([])), '127.0.0.1');
  });

  it('is one with those of its subscriber', () => {
    assert.equal(clientOf('::ffff:192.0.2.1'), '192.0.2.1');
    assert.equal(clientOf('2001:db8:0:1::1'), clientOf('2001:db8:0:1:ffff::2'));
    assert.notEqual(clientOf('2001:db8:0:1::1'), clientOf('2001:db8:0:2::1'));
  });

  for (const range of [
    '',
    'proxy',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '::/129',
    '10.0.0.0/-1',
    '::1%lo',
  ]) {
    it(`trusts nothing that is no range: ${JSON.stringify(range)}`, () => {
      assert.throws(() => trustedProxies(['10.0.0.0/8', range]), RangeError);
    });
  }
});

describe('known logins', () => {
  it('are those of one account from one subscriber', () => {
    const known = new KnownLogins();
    known.add('ann', '::ffff:192.0.2.1');
    assert.equal(known.has('ann', '192.0.2.1'), true);
    assert.equal(known.has('ann', '192.0.2.2'), false);
    assert.equal(known.has('bob', '192.0.2.1'), false);
  });

  it('are a bounded number, of an account and in all; the least recent goes', () => {
    const known = new KnownLogins();
    for (let i = 0; i < 20; i += 1) {
      known.add('ann', '192.0.2.1');
      known.add('ann', `198.51.100.${i}`);
    }
    assert.equal(known.size, 16);
    assert.equal(known.has('ann', '192.0.2.1'), true);
    assert.equal(known.has('ann', '198.51.100.0'), false);
    for (let i = 0; i < 3_000; i += 1) known.add(`user ${i}`, '192.0.2.1');
    assert.equal(known.size, 1_000);
  });
});
