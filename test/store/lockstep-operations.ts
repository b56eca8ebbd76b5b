/** Random operations on an outbox, as fast-check makes them; lockstep.ts carries them out. */
import fc from 'fast-check';
import type { Operation as RowOperation } from '../../src/model/row.ts';

const BOTH: RowOperation[] = ['put', 'delete'];
const small = fc.nat({ max: 3 });
const flag = fc.boolean();
/** Mostly 0; 1 is the bucket that takes its name. */
const bucket = often(0, fc.constantFrom(1, 2), 15);
const target = fc.constantFrom(0, 0, 0, 1, 1, 2);

function often<T>(value: T, otherwise: fc.Arbitrary<T>, weight: number): fc.Arbitrary<T> {
  return fc.oneof({ weight, arbitrary: fc.constant(value) }, { weight: 1, arbitrary: otherwise });
}

const write = fc.record({
  bucket,
  key: fc.constantFrom(0, 0, 0, 1, 1, 2, 3),
  operation: fc.constantFrom('put', 'put', 'put', 'delete'),
  replica: fc.constantFrom(false, false, false, true),
  /** How far before the newest event of the key this one belongs. */
  late: fc.constantFrom(0, 0, 0, 3, 7),
});

const operation = fc.oneof(
  weighted(8, { kind: fc.constant('write'), write, also: fc.option(write, { freq: 3 }) }),
  weighted(1, { kind: fc.constant('announce'), write, by: small }),
  weighted(1, { kind: fc.constant('abandon'), intent: small }),
  weighted(9, {
    kind: fc.constant('claim'),
    bucket,
    target,
    limit: fc.constantFrom(1, 1, 2, 3),
    operations: fc.constantFrom<RowOperation[]>(BOTH, BOTH, BOTH, ['put'], ['delete'], []),
    untriedFirst: often(false, fc.constant(true), 3),
  }),
  weighted(10, {
    kind: fc.constant('settle-claim'),
    claim: fc.constantFrom(0, 0, 0, 1, 2),
    outcome: fc.constantFrom('complete', 'complete', 'retry', 'retry', 'fail', 'release', 'upload'),
    /** Milliseconds from now; the last one is of a clock that ran ahead. */
    doubt: fc.constantFrom(null, null, 60_000, 60_000, 1_000, 0, 4_000_000, 90_000_000),
    refused: flag,
    /** How long ago the try began. */
    began: fc.constantFrom(0, 1_000, 60_000),
    other: flag,
    more: small,
  }),
  weighted(2, {
    kind: fc.constant('rules'),
    bucket,
    rules: fc.array(
      fc.record({
        id: small,
        target,
        prefix: often<'' | 'a/' | 'ä'>('', fc.constantFrom('a/', 'ä'), 3),
        enabled: often(true, fc.constant(false), 3),
        deletes: flag,
        existing: flag,
      }),
      { minLength: 2, maxLength: 4 },
    ),
  }),
  weighted(1, {
    kind: fc.constant('targets'),
    bucket,
    targets: fc.tuple(
      ...[0, 1, 2].map((id) =>
        fc.record({
          id: fc.constant(id),
          listed: often(true, fc.constant(false), 6),
          enabled: often(true, fc.constant(false), 4),
          moved: often(false, fc.constant(true), 4),
        }),
      ),
    ),
  }),
  weighted(1, { kind: fc.constant('remove-bucket'), bucket: often(1, fc.constant(0), 5) }),
  weighted(2, { kind: fc.constant('retry-row'), bucket, row: fc.nat(9) }),
  weighted(1, {
    kind: fc.constant('retry-rows'),
    bucket,
    state: fc.constantFrom(null, 'failed', 'failed', 'pending', 'verifying'),
    rule: small,
  }),
  weighted(1, {
    kind: fc.constant('retry-refused'),
    bucket,
    targets: fc.constantFrom([0], [1], [0, 1, 2]),
  }),
  weighted(2, {
    kind: fc.constant('resync'),
    bucket,
    rule: small,
    what: fc.constantFrom('start', 'advance', 'advance', 'done', 'cancel'),
  }),
  weighted(3, {
    kind: fc.constant('report'),
    bucket,
    target,
    report: fc.constantFrom('open', 'probing', 'failing', 'degraded', 'connecting', 'healthy'),
    stale: often(false, flag, 3),
  }),
  weighted(1, { kind: fc.constant('forget-strays'), bucket, target }),
  weighted(1, { kind: fc.constant('lease'), by: small }),
  weighted(1, { kind: fc.constant('kill'), by: small }),
  weighted(1, { kind: fc.constant('settle') }),
  weighted(1, { kind: fc.constant('sweep') }),
  weighted(1, { kind: fc.constant('clamp') }),
  weighted(1, { kind: fc.constant('disk'), flag: often(false, fc.constant(true), 3) }),
  weighted(5, {
    kind: fc.constant('wait'),
    ms: fc.constantFrom(1, 1_000, 2_000, 60_000, 4_000_000, 8 * 24 * 3_600_000),
  }),
);

function weighted<T>(
  weight: number,
  fields: { [Name in keyof T]: fc.Arbitrary<T[Name]> },
): { weight: number; arbitrary: fc.Arbitrary<T> } {
  return { weight, arbitrary: fc.record(fields) };
}

export const operations = fc.array(operation, { minLength: 20, maxLength: 80, size: 'max' });

export type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;
export type Write = typeof write extends fc.Arbitrary<infer T> ? T : never;
export type Of<Kind extends Operation['kind']> = Extract<Operation, { kind: Kind }>;
