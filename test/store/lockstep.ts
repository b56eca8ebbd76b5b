/** Operations on two outboxes at once, and the comparison of what they answer and show. */
import assert from 'node:assert/strict';
import type { AnnouncedWrite, BucketRef, ObjectRef } from '../../src/host.ts';
import { HEALTHY, type LaneReport } from '../../src/model/lane-report.ts';
import type { ClaimOutcome, IntentId, Outbox, StrayUpload } from '../../src/model/ports.ts';
import type { Claim, LaneRef, UploadState } from '../../src/model/row.ts';
import { ANY, ruleDraft, targetDraft } from '../support/drafts.ts';
import type { OutboxFixture } from '../support/outbox-fixture.ts';
import { uuid } from '../support/replication-bodies.ts';
import type { Of, Operation, Write } from './lockstep-operations.ts';

const KEYS = ['a/1', 'a/2', 'b/1', 'ä'];
const BUCKETS: readonly BucketRef[] = [
  { id: 'bucket-1', name: 'photos' },
  { id: 'bucket-2', name: 'photos' },
  { id: 'bucket-3', name: 'music' },
];

const REPORTS: Readonly<Record<string, LaneReport>> = {
  open: {
    ...HEALTHY,
    breaker: 'open',
    retryAt: 5,
    lastError: { reason: 'It failed.', status: 500 },
  },
  probing: { ...HEALTHY, breaker: 'probing', lastError: { reason: 'It failed.' } },
  failing: { ...HEALTHY, lastError: { reason: 'It failed.', code: 'Bad', requestId: '1' } },
  degraded: { ...HEALTHY, degraded: ['tags', 'deletes'] },
  connecting: { ...HEALTHY, connecting: true },
  healthy: HEALTHY,
};

export class Lockstep {
  readonly #fixtures: readonly [OutboxFixture, OutboxFixture];
  readonly #orders = new Map<string, number>();
  readonly #intents: IntentId[] = [];
  readonly #claims: Claim[] = [];
  /** What was stored with a claim since it was made. */
  readonly #uploads = new Map<Claim, UploadState | null>();
  #uploadCount = 0;
  /** The last versions that were written. */
  #versions: readonly ObjectRef[] = [];
  #epoch = 0;

  constructor(lmdb: OutboxFixture, memory: OutboxFixture) {
    this.#fixtures = [lmdb, memory];
  }

  /** Two targets, one rule each, and the lease. */
  async begin(): Promise<void> {
    await this.run({
      kind: 'targets',
      bucket: 0,
      targets: [
        { id: 0, listed: true, enabled: true, moved: false },
        { id: 1, listed: true, enabled: true, moved: false },
      ],
    });
    const rule = { prefix: '' as const, enabled: true, deletes: true, existing: false };
    const rules: Of<'rules'>['rules'] = [
      { id: 0, target: 0, ...rule },
      { id: 1, target: 1, ...rule },
    ];
    await this.run({ kind: 'rules', bucket: 0, rules });
    await this.run({ kind: 'lease', by: 0 });
  }

  async run(operation: Operation): Promise<void> {
    switch (operation.kind) {
      case 'write':
        return this.#write(operation);
      case 'announce': {
        const writes = [this.#announced(operation.write)];
        const by = `process-${operation.by}`;
        const { intent } = await this.#both((f) => f.asProcess(by).announce(writes));
        this.#intents.push(intent);
        return;
      }
      case 'abandon': {
        const intent = pick(this.#intents, operation.intent);
        if (intent !== undefined) await this.#both((f) => f.outbox.abandon(intent));
        return;
      }
      case 'claim': {
        const lane = laneOf(operation.bucket, operation.target);
        const { limit, operations, untriedFirst } = operation;
        const claims = await this.#both((f) => {
          const request = { limit, now: f.world.now, operations, untriedFirst };
          return f.outbox.claim(this.#epoch, lane, request);
        });
        this.#claims.push(...(claims ?? []));
        return;
      }
      case 'settle-claim':
        return this.#settleClaim(operation);
      case 'rules':
        return this.#rules(operation);
      case 'targets': {
        const drafts = operation.targets
          .filter(({ listed }) => listed)
          .map(({ id, enabled, moved }) =>
            targetDraft(id + 1, { enabled, targetBucket: moved ? 'elsewhere' : 'backup' }),
          );
        const of = BUCKETS[operation.bucket]!;
        await this.#both((f) => f.configurations.replaceTargets(of, drafts, ANY));
        return this.#sweep();
      }
      case 'remove-bucket': {
        await this.#both((f) => f.configurations.removeBucket(BUCKETS[operation.bucket]!));
        return this.#sweep();
      }
      case 'retry-row': {
        const of = BUCKETS[operation.bucket]!;
        const rows = await this.#both((f) => f.outbox.pageRows(of, {}, null, 10));
        const sequence = rows?.[operation.row]?.sequence ?? 1;
        await this.#both((f) => f.outbox.retryRow(of, sequence, f.world.now));
        return;
      }
      case 'retry-rows': {
        const of = BUCKETS[operation.bucket]!;
        const { rules } = await this.#fixtures[0].configurations.read(of);
        const incarnation = rules[operation.rule]?.incarnation;
        const filter = {
          ...(operation.state === null ? {} : { state: operation.state }),
          ...(incarnation === undefined ? {} : { ruleIncarnation: incarnation }),
        };
        await this.#both((f) => f.outbox.retryRows(of, filter, f.world.now));
        return;
      }
      case 'retry-refused': {
        const of = BUCKETS[operation.bucket]!;
        const targetIds = operation.targets.map((target) => uuid(target + 1));
        await this.#both((f) => f.outbox.retryRefused(of, targetIds, f.world.now));
        return;
      }
      case 'resync':
        return this.#resync(operation);
      case 'report': {
        const lane = laneOf(operation.bucket, operation.target);
        const access = await this.#fixtures[0].outbox.accessTarget(lane);
        const mark = access.kind === 'usable' && !operation.stale ? access.retryMark : 1;
        const report = REPORTS[operation.report] ?? HEALTHY;
        await this.#both((f) => f.outbox.storeReport(this.#epoch, lane, mark, report));
        return;
      }
      case 'forget-strays': {
        const lane = laneOf(operation.bucket, operation.target);
        const [stray] = await this.#fixtures[0].outbox.strayUploads(lane, null, 1);
        if (stray === undefined) return;
        await this.#both((f) => f.outbox.forgetStrays(this.#epoch, lane, [stray]));
        return;
      }
      case 'lease': {
        const epoch = await this.#both((f) =>
          f.asProcess(`process-${operation.by}`).acquireLease(),
        );
        if (typeof epoch === 'number') this.#epoch = epoch;
        await this.#both((f) => f.outbox.renewLease(this.#epoch));
        await this.#both((f) => f.outbox.recoverClaims(this.#epoch));
        return;
      }
      case 'kill':
        for (const fixture of this.#fixtures) fixture.kill(`process-${operation.by}`);
        return;
      case 'settle': {
        const left = await this.#both((f) => f.outbox.leftIntents(this.#epoch));
        for (const { id, writes } of left ?? []) {
          await this.#both((f) => f.outbox.settle(this.#epoch, id, writes));
        }
        return;
      }
      case 'sweep':
        return this.#sweep();
      case 'clamp':
        await this.#both((f) => f.outbox.clampSchedules(this.#epoch, f.world.now));
        return;
      case 'disk':
        for (const { world } of this.#fixtures) world.isDiskLow = operation.flag;
        return;
      case 'wait':
        for (const { world } of this.#fixtures) {
          world.now += operation.ms;
          world.uptimeMs += operation.ms;
        }
    }
  }

  /** What each shows of every bucket and lane. */
  async compare(operation: Operation): Promise<void> {
    const [lmdb, memory] = await Promise.all(
      this.#fixtures.map((fixture) => show(fixture, this.#versions)),
    );
    assert.deepEqual(lmdb, memory, `after ${JSON.stringify(operation)}`);
  }

  async #write({ write: first, also }: Of<'write'>): Promise<void> {
    const writes = also === null ? [first] : [first, also];
    const announced = writes.map((one) => this.#announced(one));
    const { intent } = await this.#both((f) => f.outbox.announce(announced));
    const committed = writes.map(({ bucket: of, key, operation: what, replica, late }) => {
      const name = `${of} ${key}`;
      const newest = (this.#orders.get(name) ?? 100) + 10;
      this.#orders.set(name, newest);
      const order = newest - late * 3;
      const versionId = what === 'put' ? `v${order}` : null;
      return { bucket: BUCKETS[of]!, key: KEYS[key]!, operation: what, versionId, order, replica };
    });
    await this.#both((f) => f.outbox.commit(intent, committed));
    const versions = committed.map((one) => ({ ...one, versionId: one.versionId ?? 'v0' }));
    this.#versions = [...this.#versions, ...versions].slice(-6);
  }

  #announced({ bucket: of, key, operation: what }: Write): AnnouncedWrite {
    return { bucket: BUCKETS[of]!, key: KEYS[key]!, operation: what, before: null };
  }

  async #settleClaim({
    claim: n,
    outcome,
    doubt,
    refused,
    began,
    other,
    more,
  }: Of<'settle-claim'>): Promise<void> {
    const claim = pick(this.#claims, n);
    if (claim === undefined) return;
    const { now } = this.#fixtures[0].world;
    if (outcome === 'upload') {
      const uploadId = `upload-${this.#uploadCount++}`;
      const upload = more < 3 ? { uploadId, versionId: 'v', order: 1, partBytes: 1 } : null;
      this.#uploads.set(claim, upload);
      await this.#both((f) => f.outbox.storeUpload(this.#epoch, claim, upload));
      return;
    }
    const stored = this.#uploads.get(claim);
    const carried = stored === undefined ? claim.row.upload : stored;
    const lastError = { reason: 'It failed.', ...(other ? { status: 500 } : {}) };
    const doubtUntil = doubt === null ? null : now + doubt;
    const outcomes: Record<typeof outcome, ClaimOutcome> = {
      complete: {
        kind: 'complete',
        upTo: claim.row.operation === 'resolve' ? 1_000 : claim.row.order + more * 5,
        begunAt: now - began,
        uploadId: other ? (carried?.uploadId ?? null) : null,
      },
      retry: {
        kind: 'retry',
        nextAttemptAt: now + (more === 3 ? 7_200_000 : 1_000 * more),
        lastError,
        doubtUntil,
        refused,
        asResolve: other,
        upload: more === 1 ? carried : null,
      },
      fail: { kind: 'fail', lastError, doubtUntil, refused },
      release: { kind: 'release', doubtUntil },
    };
    await this.#both((f) => f.outbox.settleClaim(this.#epoch, claim, outcomes[outcome]));
  }

  async #rules({ bucket: of, rules }: Of<'rules'>): Promise<void> {
    const drafts = unique(rules).map(({ id, target, prefix, enabled, deletes, existing }) =>
      ruleDraft(id + 5, {
        targetId: uuid(target + 1),
        prefix,
        enabled,
        replicateDeletes: deletes,
        replicateExisting: existing,
      }),
    );
    await this.#both((f) => f.configurations.replaceRules(BUCKETS[of]!, drafts, ANY));
    await this.#sweep();
  }

  async #resync({ bucket: n, rule, what }: Of<'resync'>): Promise<void> {
    const of = BUCKETS[n]!;
    const ruleId = uuid(rule + 5);
    if (what === 'start') {
      await this.#both((f) => f.outbox.startResync(of, ruleId, f.world.now));
    } else if (what === 'cancel') {
      await this.#both((f) => f.outbox.cancelResync(of, ruleId, f.world.now));
    } else {
      const job = await this.#both((f) => f.outbox.readResync(of, ruleId));
      if (job === null || job === undefined) return;
      const isDone = what === 'done';
      await this.#both((f) =>
        f.outbox.advanceResync(this.#epoch, job, KEYS, 'ä', isDone, f.world.now),
      );
    }
  }

  /** Until nothing is left: how much one call does is the store's own affair. */
  async #sweep(): Promise<void> {
    await this.#both(async (f) => {
      while (await f.outbox.sweep(this.#epoch, f.world.now));
    });
  }

  /** The same call on both, and one and the same answer or error code. */
  async #both<T>(call: (fixture: OutboxFixture) => Promise<T>): Promise<T> {
    const [lmdb, memory] = await Promise.allSettled(this.#fixtures.map((fixture) => call(fixture)));
    assert(lmdb !== undefined && memory !== undefined);
    if (lmdb.status === 'rejected' || memory.status === 'rejected') {
      const codeOf = (result: PromiseSettledResult<T>): unknown =>
        result.status === 'rejected'
          ? ((result.reason as { code?: string }).code ?? result.reason)
          : 'fulfilled';
      assert.equal(codeOf(lmdb), codeOf(memory));
      return undefined as T;
    }
    assert.deepEqual(lmdb.value, memory.value);
    return lmdb.value;
  }
}

async function show({ outbox }: OutboxFixture, versions: readonly ObjectRef[]): Promise<object> {
  const lanes = await outbox.lanes();
  const shown: object[] = [
    { lanes: lanes.map((lane) => JSON.stringify(lane)).sort() },
    { strays: (await outbox.strayLanes()).map((lane) => JSON.stringify(lane)).sort() },
    { totals: await outbox.queueTotals() },
    { versions: await Promise.all(versions.map((version) => outbox.versionState(version))) },
    { resyncs: (await outbox.runningResyncs()).toSorted((a, b) => a.run - b.run) },
  ];
  for (const lane of lanes)
    shown.push({ lane: JSON.stringify(lane), at: await outbox.nextDueAt(lane) });
  shown.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  for (const [n, of] of BUCKETS.entries()) {
    const { counts, gaps, oldest, lanes: conditions } = await outbox.queueStatus(of);
    shown.push({
      of,
      rows: await outbox.pageRows(of, {}, null, 100),
      failed: await outbox.pageRows(of, { state: 'failed' }, 1_000_000, 3),
      verifying: await outbox.pageRows(of, { state: 'verifying' }, 1_000_000, 3),
      counts: sortedByText(counts),
      gaps: sortedByText(gaps),
      oldest: sortedByText(oldest),
      conditions,
      strays: await Promise.all([0, 1, 2].map((target) => straysOf(outbox, laneOf(n, target)))),
      marks: await Promise.all([0, 1, 2].map((target) => markOf(outbox, laneOf(n, target)))),
    });
  }
  return shown;
}

async function straysOf(outbox: Outbox, lane: LaneRef): Promise<StrayUpload[]> {
  return sortedByText(await outbox.strayUploads(lane, null, 1_000));
}

async function markOf(outbox: Outbox, lane: LaneRef): Promise<number | null> {
  const access = await outbox.accessTarget(lane);
  return access.kind === 'usable' ? access.retryMark : null;
}

function sortedByText<T>(items: readonly T[]): T[] {
  return items.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

function laneOf(of: number, target: number): LaneRef {
  return { bucket: BUCKETS[of]!, targetId: uuid(target + 1) };
}

/** One of the last four. */
function pick<T>(items: readonly T[], n: number): T | undefined {
  return items.at(-1 - n);
}

function unique<T extends { id: number }>(items: readonly T[]): T[] {
  return [...new Map(items.map((item) => [item.id, item])).values()];
}
