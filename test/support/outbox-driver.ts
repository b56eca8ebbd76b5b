/** Drives one outbox in tests: a bucket with one target and one rule, and the lease held. */
import type { BucketRef, CommittedWrite } from '../../src/host.ts';
import type { ConfigurationStore, Outbox, Tenure } from '../../src/model/ports.ts';
import type { ClaimOutcome, ClaimRequest, QueuedRow } from '../../src/model/queue.ts';
import type { Claim, LaneRef, Row, RowState } from '../../src/model/row.ts';
import type { RuleDraft } from '../../src/model/rule.ts';
import type { TargetDraft } from '../../src/model/target.ts';
import { ANY, ruleDraft, targetDraft } from './drafts.ts';
import type { FixtureOptions, OpenOutbox, OutboxFixture, World } from './outbox-fixture.ts';
import { uuid } from './replication-bodies.ts';

export const BUCKET: BucketRef = { id: 'bucket-1', name: 'photos' };
export const RECREATED: BucketRef = { id: 'bucket-2', name: 'photos' };
/** Number of the rule that a driver begins with. */
export const RULE = 5;
export const TARGET = uuid(1);

/** Outcomes of claims. */
export const lastError = { reason: 'It failed.' };
export const complete = (
  upTo: number,
  uploadId: string | null = null,
  begunAt = 0,
): ClaimOutcome => ({ kind: 'complete', upTo, begunAt, uploadId });
export const fail = (doubtUntil: number | null = null, refused = false): ClaimOutcome => ({
  kind: 'fail',
  lastError,
  doubtUntil,
  refused,
});
/** Whatever is due, of both operations. */
export const due = (limit: number, now: number): ClaimRequest => ({
  limit,
  now,
  operations: ['put', 'delete'],
  untriedFirst: false,
});
export const retry = (
  nextAttemptAt: number,
  fields: Partial<Extract<ClaimOutcome, { kind: 'retry' }>> = {},
): ClaimOutcome => ({
  kind: 'retry',
  nextAttemptAt,
  lastError,
  doubtUntil: null,
  refused: false,
  asResolve: false,
  upload: null,
  ...fields,
});

type Numbered<T> = { readonly n: number } & Partial<T>;

export class OutboxDriver {
  readonly fixture: OutboxFixture;
  #tenure: Tenure | null = null;
  #rules: readonly { id: string; incarnation: number }[] = [];

  static async open(
    t: Parameters<OpenOutbox>[0],
    open: OpenOutbox,
    options?: FixtureOptions,
  ): Promise<OutboxDriver> {
    const driver = new OutboxDriver(await open(t, options));
    await driver.targets([{ n: 1 }]);
    await driver.rules([{ n: RULE }]);
    driver.#tenure = await driver.outbox.acquireLease();
    return driver;
  }

  private constructor(fixture: OutboxFixture) {
    this.fixture = fixture;
  }

  get outbox(): Outbox {
    return this.fixture.outbox;
  }

  get configurations(): ConfigurationStore {
    return this.fixture.configurations;
  }

  get world(): World {
    return this.fixture.world;
  }

  get now(): number {
    return this.fixture.world.now;
  }

  /** @throws Error where the lease was not free when the driver was opened */
  get tenure(): Tenure {
    if (this.#tenure === null) throw new Error('The lease is held.');
    return this.#tenure;
  }

  lane(): LaneRef {
    return { bucket: BUCKET, targetId: TARGET };
  }

  ruleId(n: number): string {
    return uuid(n);
  }

  incarnation(n: number): number {
    return this.#rules.find(({ id }) => id === uuid(n))?.incarnation ?? 0;
  }

  async targets(drafts: readonly Numbered<TargetDraft>[]): Promise<void> {
    const targets = drafts.map(({ n, ...fields }) => targetDraft(n, fields));
    await this.configurations.replaceTargets(BUCKET, targets, ANY);
  }

  /** All of target 1 unless they say otherwise. */
  async rules(drafts: readonly Numbered<RuleDraft>[]): Promise<void> {
    const rules = drafts.map(({ n, ...fields }) => ruleDraft(n, fields));
    this.#rules = (await this.configurations.replaceRules(BUCKET, rules, ANY)).after.rules;
  }

  write(key: string, order: number): CommittedWrite {
    return { bucket: BUCKET, key, operation: 'put', versionId: `v${order}`, order, replica: false };
  }

  async put(key: string, order: number): Promise<readonly QueuedRow[]> {
    const { intent } = await this.outbox.announce([
      { bucket: BUCKET, key, operation: 'put', before: null },
    ]);
    return this.outbox.commit(intent, [this.write(key, order)]);
  }

  async remove(key: string, order: number): Promise<readonly Row[]> {
    const { intent } = await this.outbox.announce([
      { bucket: BUCKET, key, operation: 'delete', before: null },
    ]);
    const write = { ...this.write(key, order), operation: 'delete', versionId: null } as const;
    return this.outbox.commit(intent, [write]);
  }

  /** Queues a row that delivers whatever is current. */
  async settleIntent(key: string): Promise<void> {
    const writes = [{ bucket: BUCKET, key, operation: 'put', before: null }] as const;
    const { intent } = await this.outbox.announce(writes);
    await this.tenure.settle(intent, writes);
  }

  async claim(): Promise<Claim | undefined> {
    return (await this.tenure.claim(this.lane(), due(1, this.now)))[0];
  }

  settle(claim: Claim, outcome: ClaimOutcome): Promise<boolean> {
    return this.tenure.settleClaim(claim, outcome);
  }

  async failOne(): Promise<void> {
    const claim = await this.claim();
    if (claim === undefined) throw new Error('Nothing is due.');
    await this.settle(claim, fail());
  }

  async sweep(): Promise<void> {
    while (await this.tenure.sweep(this.now));
  }

  /** A try of the next row, which ended without an answer. */
  async leaveInDoubt(doubtUntil: number, fields: Parameters<typeof retry>[1] = {}): Promise<void> {
    const claim = await this.claim();
    if (claim === undefined) throw new Error('Nothing is due.');
    await this.settle(claim, retry(this.now, { doubtUntil, ...fields }));
  }

  async status(): Promise<Record<RowState, number>> {
    const { counts } = await this.outbox.queueStatus(BUCKET);
    const sum = (of: RowState): number => counts.reduce((total, count) => total + count[of], 0);
    return { pending: sum('pending'), verifying: sum('verifying'), failed: sum('failed') };
  }
}
