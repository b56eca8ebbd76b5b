/** Which endpoints need a lookup, and what several addresses amount to. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createAddressPolicy } from '../../src/egress/address.ts';
import { EndpointPolicy, literalAddresses } from '../../src/egress/endpoint-policy.ts';
import type { Resolution } from '../../src/egress/resolver.ts';
import { parseEndpoint } from '../../src/model/endpoint.ts';

function fixture(
  resolution: Resolution,
  lists: { allow?: readonly string[]; deny?: readonly string[] } = {},
) {
  const asked: string[] = [];
  const policy = new EndpointPolicy({
    addresses: createAddressPolicy({ allow: [], deny: [], ownAddresses: () => [], ...lists }),
    resolver: {
      resolve(hostname) {
        asked.push(hostname);
        return Promise.resolve(resolution);
      },
    },
  });
  const judge = (text: string) => {
    const endpoint = parseEndpoint(text);
    assert.ok(endpoint !== null, text);
    return policy.judge(endpoint, 'owner');
  };
  return { asked, judge };
}

describe('EndpointPolicy', () => {
  it('does not look up addresses and localhost', async () => {
    const { asked, judge } = fixture({ addresses: ['8.8.8.8'] });
    for (const host of [
      '127.1',
      '[::1]',
      'localhost',
      'LOCALHOST.',
      'a.b.localhost',
      '127.0.0.2',
    ]) {
      const verdict = await judge(`http://${host}:9000/s3`);
      assert.deepEqual(verdict, { verdict: 'nonPublic', kinds: ['loopback'] }, host);
    }
    assert.deepEqual(await judge('http://8.8.8.8'), { verdict: 'public' });
    assert.deepEqual(asked, []);
  });

  it('looks up every other host in its normalised form', async () => {
    const { asked, judge } = fixture({ addresses: ['8.8.8.8'] });
    const hosts = [
      'A.example',
      'b.example.',
      'xlocalhost',
      'localhost.example',
      'b\u00fccher.example',
    ];
    for (const host of hosts)
      assert.deepEqual(await judge(`http://${host}`), { verdict: 'public' });
    const names = ['a.example', 'b.example.', 'xlocalhost', 'localhost.example'];
    assert.deepEqual(asked, [...names, 'xn--bcher-kva.example']);
  });

  it('lists every kind once, in order', async () => {
    const addresses = ['192.168.0.1', '8.8.8.8', '::1', '10.0.0.1', '127.0.0.1', 'fe80::1%eth0'];
    assert.deepEqual(await fixture({ addresses }).judge('http://a.example'), {
      verdict: 'nonPublic',
      kinds: ['linkLocal', 'loopback', 'private'],
    });
  });

  it('finds a denied address wherever it stands', async () => {
    const deny = ['9.9.9.9/32'];
    for (const addresses of [
      ['9.9.9.9', '10.0.0.1', '8.8.8.8'],
      ['8.8.8.8', '10.0.0.1', '::ffff:9.9.9.9'],
    ]) {
      const { judge } = fixture({ addresses }, { deny });
      assert.deepEqual(await judge('http://a.example'), { verdict: 'denied' });
    }
  });

  it('tells a name without an address apart', async () => {
    const { judge } = fixture('unresolved');
    assert.deepEqual(await judge('http://a.example'), { verdict: 'unresolved' });
  });

  it('lets the operator’s lists decide about localhost, both of its addresses', async () => {
    const judged = async (allow: readonly string[], deny: readonly string[] = []) =>
      fixture('unresolved', { allow, deny }).judge('http://localhost');
    const loopback = { verdict: 'nonPublic', kinds: ['loopback'] };
    assert.deepEqual(await judged(['127.0.0.0/8']), loopback);
    assert.deepEqual(await judged(['127.0.0.0/8', '::1/128']), { verdict: 'public' });
    assert.deepEqual(await judged([], ['::1/128']), { verdict: 'denied' });
  });
});

describe('literalAddresses', () => {
  it('gives what a connection may use without a lookup', () => {
    assert.deepEqual(literalAddresses('10.0.0.1'), ['10.0.0.1']);
    assert.deepEqual(literalAddresses('fe80::1'), ['fe80::1']);
    assert.deepEqual(literalAddresses('a.localhost.'), ['127.0.0.1', '::1']);
    assert.equal(literalAddresses('localhost.example'), null);
    assert.equal(literalAddresses('notlocalhost'), null);
  });
});
