/** Judges the table of hostile and innocent endpoints as a save does. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { createAddressPolicy } from '../../src/egress/address.ts';
import { EndpointPolicy } from '../../src/egress/endpoint-policy.ts';
import { BoundedResolver } from '../../src/egress/resolver.ts';
import { parseEndpoint } from '../../src/model/endpoint.ts';
import { names, policy, type Expected, type Row } from './endpoint-table.ts';
import { hostile } from './hostile-endpoints.ts';
import { innocent } from './innocent-endpoints.ts';
import { ManualClock } from './manual-clock.ts';
import { assertProperty } from '../support/seed.ts';

const TIMEOUT_MS = 2_000;

async function lookup(hostname: string): Promise<readonly string[]> {
  const answer = Object.hasOwn(names, hostname) ? names[hostname] : undefined;
  if (answer === 'never') return new Promise(() => undefined);
  if (answer === undefined) throw Object.assign(new Error('not found'), { code: 'ENOTFOUND' });
  return answer;
}

/** What happens to the endpoint at a save, in the words of the table. */
async function judge(text: string): Promise<Expected> {
  const endpoint = parseEndpoint(text);
  if (endpoint === null) return 'invalid';
  const clock = new ManualClock();
  const judging = new EndpointPolicy({
    addresses: createAddressPolicy({ ...policy, ownAddresses: () => policy.ownAddresses }),
    resolver: new BoundedResolver({ lookup, clock, concurrency: 1, timeoutMs: TIMEOUT_MS }),
  }).judge(endpoint, 'owner');
  await setImmediate();
  clock.advance(TIMEOUT_MS);
  const judged = await judging;
  assert.equal(clock.timersSet, 0);
  return judged.verdict === 'nonPublic' ? judged.kinds.join(' ') : judged.verdict;
}

function title({ endpoint, expected }: Row): string {
  const text = JSON.stringify(endpoint);
  return `${text.length > 100 ? `${text.slice(0, 100)}…` : text} is ${expected}`;
}

for (const [name, table] of [
  ['hostile endpoints', hostile],
  ['innocent endpoints', innocent],
] as const) {
  describe(name, () => {
    for (const group of new Set(table.map((row) => row.group))) {
      describe(group, () => {
        for (const row of table.filter((candidate) => candidate.group === group)) {
          it(title(row), async () => assert.equal(await judge(row.endpoint), row.expected));
        }
      });
    }
  });
}

describe('the table', () => {
  it('has at least 200 hostile and 50 innocent endpoints, each of them once', () => {
    assert.ok(hostile.length >= 200, `${hostile.length} hostile`);
    assert.ok(innocent.length >= 50, `${innocent.length} innocent`);
    const all = [...hostile, ...innocent].map((row) => row.endpoint);
    assert.deepEqual(
      all.filter((endpoint, index) => all.indexOf(endpoint) !== index),
      [],
    );
  });

  it('lets no hostile endpoint pass as public, and every innocent one pass', () => {
    assert.deepEqual(
      hostile.filter((row) => row.expected === 'public'),
      [],
    );
    assert.deepEqual(
      innocent.filter((row) => row.expected !== 'public' && row.expected !== 'unresolved'),
      [],
    );
  });
});

/** 32-bit numbers, half of them within or beside a range that is not public. */
const ipv4Number = fc.oneof(
  fc.integer({ min: 0, max: 0xffffffff }),
  fc
    .tuple(
      fc.constantFrom(
        ...[0x00000000, 0x0a000000, 0x0a630000, 0x0a634200, 0x2d420000, 0x64400000, 0x7f000000],
        ...[0xa83f8110, 0xa9fe0000, 0xac100000, 0xc0000000, 0xc0a80000, 0xc6120000, 0xc6290004],
        ...[0xe0000000, 0xf0000000, 0xffffff00],
      ),
      fc.integer({ min: -2, max: 0xffff }),
    )
    .map(([base, offset]) => Math.min(Math.max(base + offset, 0), 0xffffffff)),
);

function dotted(value: number): string {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff).join('.');
}

const spellings: readonly ((part: number) => string)[] = [
  (part) => String(part),
  (part) => `0x${part.toString(16)}`,
  (part) => `0X${part.toString(16).toUpperCase()}`,
  (part) => `0x000${part.toString(16)}`,
  (part) => `0${part.toString(8)}`,
  (part) => `000${part.toString(8)}`,
  (part) => String(part).replace(/\d/g, (digit) => String.fromCodePoint(0xff10 + Number(digit))),
];

/** One to four parts, the last of which holds what is left, each in a base of its own. */
const spelledIpv4 = fc
  .record({
    value: ipv4Number,
    parts: fc.integer({ min: 1, max: 4 }),
    styles: fc.array(fc.constantFrom(...spellings), { minLength: 4, maxLength: 4 }),
    dot: fc.constantFrom('', '.', '\u3002'),
  })
  .map(({ value, parts, styles, dot }) => {
    const leading = [24, 16, 8].slice(0, parts - 1).map((shift) => (value >>> shift) & 0xff);
    const rest = value % 2 ** (8 * (5 - parts));
    const texts = [...leading, rest].map((part, index) => styles[index]!(part));
    return { value, spelling: texts.join('.') + dot };
  });

describe('spellings of IPv4 addresses', () => {
  it('judges any short, decimal, octal or hexadecimal form like the dotted one', async () => {
    await assertProperty(
      fc.asyncProperty(spelledIpv4, async ({ value, spelling }) => {
        assert.equal(await judge(`http://${spelling}`), await judge(`http://${dotted(value)}`));
      }),
      { numRuns: 2_000 },
    );
  });

  it('judges any mapped or NAT64 form like the dotted one', async () => {
    const prefix = fc.constantFrom('::ffff:', '0:0:0:0:0:FFFF:', '::0:ffff:', '64:ff9b::');
    await assertProperty(
      fc.asyncProperty(ipv4Number, prefix, fc.boolean(), async (value, start, asHex) => {
        const hex = `${(value >>> 16).toString(16)}:${(value & 0xffff).toString(16)}`;
        const spelling = `http://[${start}${asHex ? hex : dotted(value)}]`;
        assert.equal(await judge(spelling), await judge(`http://${dotted(value)}`));
      }),
      { numRuns: 2_000 },
    );
  });
});
