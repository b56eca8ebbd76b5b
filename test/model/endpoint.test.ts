/** What a valid endpoint means; which spellings are valid is in test/egress/hostile-endpoints.ts too. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseEndpoint } from '../../src/model/endpoint.ts';
import { assertProperty } from '../support/seed.ts';
import { costOf } from '../support/cpu-time.ts';

/** It takes a few: the square of the length would be hours. */
const CPU_MS_MAX = 5_000;

interface Case {
  readonly text: string;
  readonly origin: string;
  readonly hostname: string;
  readonly port: number;
  readonly pathPrefix: string;
}

function row(
  text: string,
  origin: string,
  hostname: string,
  port: number,
  pathPrefix: string,
): Case {
  return { text, origin, hostname, port, pathPrefix };
}

const cases: readonly Case[] = [
  row('https://a.example', 'https://a.example', 'a.example', 443, ''),
  row('https://a.example/', 'https://a.example', 'a.example', 443, ''),
  row('https://a.example:', 'https://a.example', 'a.example', 443, ''),
  row('https://a.example:/s3', 'https://a.example', 'a.example', 443, '/s3'),
  row('HTTPS://A.Example:0443/A/b/', 'https://a.example', 'a.example', 443, '/A/b'),
  row('https://a.example:80', 'https://a.example:80', 'a.example', 80, ''),
  row('http://a.example:80', 'http://a.example', 'a.example', 80, ''),
  row('http://a.example:443', 'http://a.example:443', 'a.example', 443, ''),
  row('http://a.example:0', 'http://a.example:0', 'a.example', 0, ''),
  row('http://a.example:65535/x', 'http://a.example:65535', 'a.example', 65_535, '/x'),
  row('http://a.example.', 'http://a.example.', 'a.example.', 80, ''),
  row('http://a.example/...', 'http://a.example', 'a.example', 80, '/...'),
  row('http://a.example/~x/.y/z..', 'http://a.example', 'a.example', 80, '/~x/.y/z..'),
  row(
    'http://b\u00fccher.example',
    'http://xn--bcher-kva.example',
    'xn--bcher-kva.example',
    80,
    '',
  ),
  row('http://%61.example', 'http://a.example', 'a.example', 80, ''),
  row('http://0x7f.1:9000', 'http://127.0.0.1:9000', '127.0.0.1', 9_000, ''),
  row('http://\uff11\uff12\uff17.1.', 'http://127.0.0.1', '127.0.0.1', 80, ''),
  row('https://[2001:DB8:0::1]', 'https://[2001:db8::1]', '2001:db8::1', 443, ''),
  row('http://[::ffff:127.0.0.1]:81/a', 'http://[::ffff:7f00:1]:81', '::ffff:7f00:1', 81, '/a'),
];

/** A host of exactly that many characters, in labels of at most 63. */
function hostOf(characters: number): string {
  return Array.from({ length: characters }, (_, index) => (index % 50 === 49 ? '.' : 'a'))
    .join('')
    .replace(/\.$/, 'a');
}

describe('parseEndpoint', () => {
  for (const { text, ...expected } of cases) {
    it(`reads ${text}`, () => {
      const protocol = text.toLowerCase().startsWith('https:') ? 'https:' : 'http:';
      assert.deepEqual(parseEndpoint(text), { ...expected, protocol });
    });
  }

  it('takes 1 to 2,048 characters, astral ones counted once', () => {
    const start = 'http://a.example/';
    assert.ok(parseEndpoint(start + 'x'.repeat(2_048 - start.length)));
    assert.equal(parseEndpoint(start + 'x'.repeat(2_049 - start.length)), null);
    assert.equal(parseEndpoint(''), null);
    // Variation selectors are astral and vanish from the host.
    const vanishing = (count: number): string => `http://a${'\u{e0100}'.repeat(count)}`;
    assert.equal(parseEndpoint(vanishing(2_040))?.hostname, 'a');
    assert.equal(parseEndpoint(vanishing(2_041)), null);
  });

  it('takes a host of 253 characters with its trailing dot, and labels of 63', () => {
    assert.ok(parseEndpoint(`http://${hostOf(253)}`));
    assert.equal(parseEndpoint(`http://${hostOf(254)}`), null);
    assert.ok(parseEndpoint(`http://${hostOf(252)}.`));
    assert.equal(parseEndpoint(`http://${hostOf(253)}.`), null);
    assert.ok(parseEndpoint(`http://${'a'.repeat(63)}.b`));
    assert.equal(parseEndpoint(`http://${'a'.repeat(64)}.b`), null);
    assert.equal(parseEndpoint(`http://b.${'a'.repeat(64)}`), null);
  });

  it('tells origins apart by scheme, host and port alone', () => {
    const origin = (text: string): string | undefined => parseEndpoint(text)?.origin;
    assert.equal(origin('https://A.example:443/x'), origin('https://a.example/y/'));
    assert.equal(origin('http://127.1'), origin('http://2130706433:80'));
    assert.notEqual(origin('https://a.example'), origin('http://a.example'));
    assert.notEqual(origin('https://a.example'), origin('https://a.example:8443'));
    assert.notEqual(origin('https://a.example'), origin('https://a.example.'));
  });

  it('answers any text, and what it accepts has neither credentials, query nor unresolved path', () => {
    const pieces = fc.constantFrom(
      ...['http', 'https', ':', '//', '/', '\\', '@', '?', '#', '.', '..', '[', ']', '::1', '%2e'],
      ...['127.1', 'a', 'localhost', '\t', '\n', ' ', '\u3002', '\uff0f', '\0', ':80', '~', 'A-_'],
    );
    const text = fc.oneof(
      fc.array(pieces, { maxLength: 12 }).map((parts) => parts.join('')),
      fc.array(pieces, { maxLength: 8 }).map((parts) => `http://a${parts.join('')}`),
      fc.string({ unit: 'binary' }).map((rest) => `https://${rest}`),
    );
    assertProperty(
      fc.property(text, (input) => {
        const endpoint = parseEndpoint(input);
        if (endpoint === null) return;
        const url = new URL(input);
        assert.equal(url.href.replace(/\/$/, ''), endpoint.origin + endpoint.pathPrefix);
        assert.match(endpoint.pathPrefix, /^(?:\/[A-Za-z0-9._~-]+)*$/);
        const path = /^[^/]+\/\/[^/]+(.*)$/.exec(input)?.[1]?.replace(/\/$/, '');
        assert.equal(endpoint.pathPrefix, path);
        assert.deepEqual(parseEndpoint(endpoint.origin + endpoint.pathPrefix), endpoint);
      }),
      { numRuns: 5_000 },
    );
  });

  it('refuses a long hostile text at little cost', async () => {
    const { cpuMs } = await costOf(() => {
      assert.equal(parseEndpoint(`http://a/${'a/'.repeat(500_000)}!`), null);
      assert.equal(parseEndpoint(`http://a${'/a'.repeat(1_000)}!`), null);
    });
    assert.ok(cpuMs < CPU_MS_MAX, `${cpuMs} ms`);
  });
});
