/** The owner of the bucket, who edits targets and rules while everything runs, and mends it in the end. */
import type { Configuration } from '../../src/model/configuration.ts';
import type { Rule } from '../../src/model/rule.ts';
import type { TargetDraft } from '../../src/model/target.ts';
import { ANY, ruleDraft, targetDraft } from '../support/drafts.ts';
import { uuid } from '../support/replication-bodies.ts';
import { GOOD_SECRET } from './faulty-target.ts';
import type { World } from './simulated-process.ts';

type Edit =
  | 'disable-rule'
  | 'enable-rule'
  | 'remove-rule'
  | 'add-rule'
  | 'replace-rule'
  | 'disable-target'
  | 'enable-target'
  | 'remove-target'
  | 'add-target'
  | 'wrong-secret'
  | 'right-secret'
  | 'move-target'
  | 'resync'
  | 'cancel-resync'
  | 'retry';

const EDITS: Readonly<Record<Edit, number>> = {
  'disable-rule': 1,
  'enable-rule': 3,
  'remove-rule': 1,
  'add-rule': 3,
  'replace-rule': 1,
  'disable-target': 1,
  'enable-target': 3,
  'remove-target': 0.5,
  'add-target': 3,
  'wrong-secret': 1,
  'right-secret': 3,
  'move-target': 0.3,
  resync: 1,
  'cancel-resync': 0.3,
  retry: 1,
};

export class Configurator {
  /** By incarnation: when the rule was saved, monotonic. */
  readonly ruleSavedAt = new Map<number, number>();
  /** Incarnations of rules that something was saved for which drops events, or may have. */
  readonly mayHaveGap = new Set<number>();
  readonly #world: World;
  #secrets = new Map<string, string>();
  #moves = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** A first configuration: one or two targets, and rules that may overlap. */
  async begin(): Promise<void> {
    const { random } = this.#world;
    await this.#addTarget(1);
    if (random.chance(0.5)) await this.#addTarget(2);
    await this.#addRule(1);
    if (random.chance(0.5)) await this.#addRule(2);
  }

  async edit(): Promise<void> {
    const { random } = this.#world;
    const edit = random.weighted(EDITS);
    const n = random.pick([1, 2]);
    switch (edit) {
      case 'disable-rule':
        return this.#setRules(n, false);
      case 'enable-rule':
        return this.#setRules(n, true);
      case 'remove-rule':
        return this.#removeRule(n);
      case 'add-rule':
        return this.#addRule(n);
      case 'replace-rule':
        await this.#removeRule(n);
        return this.#addRule(n);
      case 'disable-target':
        return this.#setTarget(n, { enabled: false });
      case 'enable-target':
        return this.#setTarget(n, { enabled: true });
      case 'remove-target':
        return this.#removeTarget(n);
      case 'add-target':
        return this.#addTarget(n);
      case 'wrong-secret':
        return this.#setTarget(n, { newSecret: 'wrong' });
      case 'right-secret':
        return this.#setTarget(n, { newSecret: GOOD_SECRET });
      case 'move-target':
        return this.#setTarget(n, { targetBucket: this.#newPlace(n) });
      case 'resync':
      case 'cancel-resync':
      case 'retry':
        return this.#ask(edit, n);
    }
  }

  /** Everything is enabled and right again. */
  async mend(): Promise<void> {
    const { rules } = await this.#read();
    for (const n of [1, 2]) {
      if (rules.some(({ targetId }) => targetId === uuid(n))) await this.#addTarget(n);
    }
    await this.#addTarget(1);
    await this.#addRule(1);
    for (const n of [1, 2]) {
      await this.#setTarget(n, { enabled: true, newSecret: GOOD_SECRET });
      await this.#setRules(n, true);
    }
  }

  /** Events of every rule may have been dropped. */
  async noteDrops(): Promise<void> {
    this.#noteGaps((await this.#read()).rules, () => true);
  }

  async resync(): Promise<void> {
    for (const n of [1, 2]) await this.#ask('resync', n);
  }

  #newPlace(n: number): string {
    this.#moves += 1;
    return `backup-${this.#world.host.bucket.id}-${n}-${this.#moves}`;
  }

  #read(): Promise<Configuration> {
    return this.#world.stores.owner.configurations.read(this.#world.host.bucket);
  }

  async #ask(what: 'resync' | 'cancel-resync' | 'retry', n: number): Promise<void> {
    const { stores, clock, host } = this.#world;
    const { outbox } = stores.owner;
    const bucket = host.bucket;
    if (what === 'resync') await outbox.startResync(bucket, uuid(n), clock.nowMs());
    else if (what === 'cancel-resync') await outbox.cancelResync(bucket, uuid(n), clock.nowMs());
    else await outbox.retryRows(bucket, {}, clock.nowMs());
  }

  async #addTarget(n: number): Promise<void> {
    const { targets } = await this.#read();
    if (targets.some(({ id }) => id === uuid(n))) return;
    const added = targetDraft(n, { targetBucket: this.#newPlace(n), newSecret: GOOD_SECRET });
    this.#secrets.set(added.id, GOOD_SECRET);
    await this.#saveTargets([...(await this.#drafts()), added]);
  }

  async #removeTarget(n: number): Promise<void> {
    await this.#saveTargets((await this.#drafts()).filter(({ id }) => id !== uuid(n)));
  }

  async #setTarget(n: number, fields: Partial<TargetDraft>): Promise<void> {
    const drafts = await this.#drafts();
    if (!drafts.some(({ id }) => id === uuid(n))) return;
    if (typeof fields.newSecret === 'string') this.#secrets.set(uuid(n), fields.newSecret);
    await this.#saveTargets(
      drafts.map((draft) => (draft.id === uuid(n) ? { ...draft, ...fields } : draft)),
    );
  }

  async #drafts(): Promise<TargetDraft[]> {
    const { targets } = await this.#read();
    return targets.map((target) => ({
      ...target,
      newSecret: this.#secrets.get(target.id) ?? GOOD_SECRET,
    }));
  }

  async #saveTargets(drafts: readonly TargetDraft[]): Promise<void> {
    const { stores, host } = this.#world;
    const { before, after } = await stores.owner.configurations.replaceTargets(
      host.bucket,
      drafts,
      ANY,
    );
    this.#noteGaps(after.rules, (rule) => {
      const placeIn = ({ targets }: Configuration): string | undefined =>
        targets.find(({ id }) => id === rule.targetId)?.targetBucket;
      return placeIn(before) !== placeIn(after);
    });
  }

  async #addRule(n: number): Promise<void> {
    const { random } = this.#world;
    const { rules, targets } = await this.#read();
    const target = targets.length === 0 ? undefined : random.pick(targets);
    if (target === undefined || rules.some(({ id }) => id === uuid(n))) return;
    const added = ruleDraft(n, {
      targetId: target.id,
      prefix: n === 2 ? 'a' : '',
      replicateDeletes: random.chance(0.8),
      replicateExisting: random.chance(0.5),
    });
    await this.#saveRules([...rules, added]);
  }

  async #removeRule(n: number): Promise<void> {
    const { rules } = await this.#read();
    await this.#saveRules(rules.filter(({ id }) => id !== uuid(n)));
  }

  async #setRules(n: number, enabled: boolean): Promise<void> {
    const { rules, targets } = await this.#read();
    const canBe = (targetId: string): boolean => targets.some(({ id }) => id === targetId);
    await this.#saveRules(
      rules.map((rule) =>
        rule.id === uuid(n) ? { ...rule, enabled: enabled && canBe(rule.targetId) } : rule,
      ),
    );
  }

  async #saveRules(drafts: readonly ReturnType<typeof ruleDraft>[]): Promise<void> {
    const { stores, host, clock } = this.#world;
    const { before, after } = await stores.owner.configurations.replaceRules(
      host.bucket,
      drafts,
      ANY,
    );
    const isGone = ({ incarnation }: Rule): boolean =>
      !after.rules.some((rule) => rule.incarnation === incarnation);
    const left = before.rules.filter(isGone).map(({ targetId }) => targetId);
    this.#noteGaps(after.rules, ({ targetId }) => left.includes(targetId));
    for (const { incarnation } of after.rules) {
      if (!this.ruleSavedAt.has(incarnation)) {
        this.ruleSavedAt.set(incarnation, clock.monotonicMs());
      }
    }
  }

  /** Of disabled rules, and of those that `isConcerned` picks. */
  #noteGaps(rules: readonly Rule[], isConcerned: (rule: Rule) => boolean): void {
    for (const rule of rules) {
      if (!rule.enabled || isConcerned(rule)) this.mayHaveGap.add(rule.incarnation);
    }
  }
}
