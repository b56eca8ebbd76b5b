/**
 * Bodies of PUT /targets and PUT /rules that are wrong in many ways, and sometimes right: built field
 * by field from fitting and unfitting values, or a valid body with some of its bytes changed.
 */
import fc from 'fast-check';
import { gzipSync } from 'node:zlib';
import { MASK, NEW_ID, ruleBody, targetBody, uuid } from './replication-bodies.ts';

/** In every secret that these bodies hold, so that a search for it finds a leak. */
export const SECRET_MARK = 'mark-of-a-fuzzed-secret';

export interface MutatedRequest {
  readonly resource: 'targets' | 'rules';
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

const junk: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(null, true, 0, -1, Infinity, 1e21, '', ' ', '\u0000', '\ud800', [], {}, [
    [],
  ]),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ minLength: 250, maxLength: 2100 }),
  fc.jsonValue({ maxDepth: 2 }),
);

/** Mostly one of `values`, sometimes anything. */
const mostly = (...values: readonly unknown[]): fc.Arbitrary<unknown> =>
  fc.oneof({ weight: 12, arbitrary: fc.constantFrom(...values) }, { weight: 1, arbitrary: junk });

const ids = mostly(NEW_ID, NEW_ID, NEW_ID, uuid(1), uuid(2), uuid(10), uuid(10).toUpperCase());
const booleans = mostly(true, false);

const target = fc.record(
  {
    id: ids,
    endpoint: mostly(
      'https://192.0.2.10',
      'https://192.0.2.10:443/a/b',
      'http://[2001:db8::1]:9000/',
      'HTTPS://REMOTE.example.com.',
      'http://127.1',
      'http://10.0.0.1',
      'https:x',
      'https://a/../b',
      'https://u@192.0.2.1',
    ),
    targetBucket: mostly('backup', 'a', '..', 'B_-.9'),
    accessKeyId: mostly('AKIA', '!', 'a/b'),
    secretAccessKey: mostly(`${SECRET_MARK}-1`, `${SECRET_MARK}-2`, MASK, `${SECRET_MARK} x`),
    region: mostly('us-east-1', 'a', ''),
    enabled: booleans,
    extra: junk,
  },
  { noNullPrototype: true },
);

const rule = fc.record(
  {
    id: ids,
    targetId: mostly(uuid(1), uuid(2), uuid(10)),
    prefix: mostly('', null, 'a/', 'é'.repeat(512), 'é'.repeat(513), '\udc00'),
    replicateDeletes: booleans,
    replicateExisting: booleans,
    synchronous: booleans,
    enabled: booleans,
    extra: junk,
  },
  { noNullPrototype: true },
);

/** Takes the fields of that index away, or leaves all. */
const dropping = (items: fc.Arbitrary<object>): fc.Arbitrary<unknown> =>
  fc
    .tuple(items, fc.oneof({ weight: 6, arbitrary: fc.constant(-1) }, fc.nat({ max: 7 })))
    .map(([item, dropped]) =>
      Object.fromEntries(Object.entries(item).filter((_, index) => index !== dropped)),
    );

const list = (items: fc.Arbitrary<object>): fc.Arbitrary<unknown> =>
  fc.oneof(
    { weight: 20, arbitrary: fc.array(dropping(items), { maxLength: 3 }) },
    { weight: 2, arbitrary: fc.array(dropping(items), { maxLength: 6 }) },
    { weight: 1, arbitrary: fc.array(junk, { maxLength: 5 }) },
    { weight: 1, arbitrary: junk },
  );

const headers = fc.oneof(
  { weight: 20, arbitrary: fc.constant({}) },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Record<string, string>>(
      { 'if-match': '"0"' },
      { 'if-match': '*' },
      { 'if-match': 'x' },
      { 'content-type': 'text/plain' },
      { 'content-type': 'application/json; charset=utf-16' },
      { 'content-encoding': 'gzip' },
      { 'content-encoding': 'deflate' },
      { 'content-encoding': 'br' },
      { 'content-encoding': 'unknown' },
    ),
  },
);

/** Wrong in its structure: parses as JSON. */
export const structuredRequest: fc.Arbitrary<MutatedRequest> = fc
  .tuple(
    fc.constantFrom('targets' as const, 'rules' as const),
    list(target),
    list(rule),
    fc.boolean(),
    headers,
  )
  .map(([resource, targets, rules, both, sent]) => {
    const right = resource === 'targets' ? { targets } : { rules };
    const body = Buffer.from(JSON.stringify(both ? { targets, rules } : right));
    return { resource, headers: sent, body };
  });

const validBodies: readonly (readonly [MutatedRequest['resource'], Buffer])[] = [
  ['targets', { targets: [targetBody({ id: uuid(1), secretAccessKey: SECRET_MARK })] }],
  [
    'targets',
    { targets: [targetBody(), targetBody({ id: uuid(2), secretAccessKey: SECRET_MARK })] },
  ],
  ['rules', { rules: [ruleBody({ targetId: uuid(1), prefix: 'é😀/' })] }],
  ['rules', { rules: [] }],
].map(([resource, body]) => [
  resource as MutatedRequest['resource'],
  Buffer.from(JSON.stringify(body)),
]);

const change = fc.record({
  kind: fc.constantFrom('set', 'insert', 'remove', 'repeat', 'cut'),
  at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
  length: fc.integer({ min: 1, max: 12 }),
  byte: fc.oneof(fc.nat({ max: 255 }), fc.constantFrom(...Buffer.from('{}[]",:0tfn\\\u0000'))),
});

/** Wrong in its bytes: mostly not JSON, and where compressed mostly not that either. */
export const mutilatedRequest: fc.Arbitrary<MutatedRequest> = fc
  .tuple(
    fc.constantFrom(...validBodies),
    fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, fc.constant(true)),
    fc.array(change, { minLength: 1, maxLength: 3 }),
  )
  .map(([[resource, valid], compressed, changes]) => ({
    resource,
    headers: compressed ? { 'content-encoding': 'gzip' } : {},
    body: changes.reduce(applyChange, compressed ? gzipSync(valid) : valid),
  }));

function applyChange(
  bytes: Buffer,
  { kind, at, length, byte }: { kind: string; at: number; length: number; byte: number },
): Buffer {
  const from = Math.floor(at * bytes.length);
  const [head, piece, tail] = [
    bytes.subarray(0, from),
    bytes.subarray(from, from + length),
    bytes.subarray(from + length),
  ];
  switch (kind) {
    case 'set':
      return Buffer.concat([head, Buffer.from([byte]), bytes.subarray(from + 1)]);
    case 'insert':
      return Buffer.concat([head, Buffer.from([byte]), piece, tail]);
    case 'remove':
      return Buffer.concat([head, tail]);
    case 'repeat':
      return Buffer.concat([head, piece, piece, tail]);
    default:
      return head;
  }
}
