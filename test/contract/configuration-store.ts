/**
 * What every implementation of model/ports.ts must do, whatever it keeps its records in. A test file
 * of an implementation calls {@link describeConfigurationStore} with a way to open an empty store.
 */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { BucketRef } from '../../src/host.ts';
import { formatETag } from '../../src/model/etag.ts';
import type { ConfigurationStore } from '../../src/model/ports.ts';
import type { TargetDraft } from '../../src/model/target.ts';
import { ANY, ruleDraft, targetDraft } from '../support/drafts.ts';
import { uuid } from '../support/replication-bodies.ts';

/** Opens an empty store that is closed, and whose traces are gone, when the test ends. */
export type OpenEmptyStore = (t: TestContext) => Promise<{
  readonly configurations: ConfigurationStore;
  readonly close: () => Promise<void>;
}>;

const PHOTOS: BucketRef = { id: 'bucket-1', name: 'photos' };
const RECREATED: BucketRef = { id: 'bucket-2', name: 'photos' };
const MUSIC: BucketRef = { id: 'bucket-3', name: 'music' };

const countOf = (revision: string): number => Number.parseInt(revision, 10);

export function describeConfigurationStore(name: string, open: OpenEmptyStore): void {
  describe(`configuration store: ${name}`, () => {
    replacements(open);
    revisions(open);
    identities(open);
    hints(open);
    listing(open);
    closing(open);
  });
}

function replacements(open: OpenEmptyStore): void {
  it('a bucket without a record has the empty configuration of revision 0', async (t) => {
    const { configurations: store } = await open(t);
    assert.deepEqual(await store.read(PHOTOS), { revision: '0', targets: [], rules: [] });
  });

  it('shows what was replaced, in its order, without secrets, and what was before', async (t) => {
    const { configurations: store } = await open(t);
    const first = await store.replaceTargets(PHOTOS, [targetDraft(2), targetDraft(1)], ANY);
    assert.deepEqual(first.before, { revision: '0', targets: [], rules: [] });
    assert.deepEqual(
      first.after.targets.map((target) => target.id),
      [uuid(2), uuid(1)],
    );
    assert.equal(JSON.stringify(first.after).includes('secret'), false);
    assert.deepEqual(await store.read(PHOTOS), first.after);
    const second = await store.replaceTargets(PHOTOS, [targetDraft(3)], ANY);
    assert.deepEqual(second.before, first.after);
    assert.deepEqual(await store.read(PHOTOS), second.after);
  });

  it('disables the rules that lose their target and no others, and never enables one', async (t) => {
    const { configurations: store } = await open(t);
    await store.replaceTargets(PHOTOS, [targetDraft(1), targetDraft(2)], ANY);
    const rules = [ruleDraft(4), ruleDraft(5, { targetId: uuid(2) }), ruleDraft(6)];
    await store.replaceRules(PHOTOS, rules, ANY);
    const lost = await store.replaceTargets(PHOTOS, [targetDraft(2)], ANY);
    assert.deepEqual(
      lost.after.rules.map((rule) => [rule.id, rule.enabled]),
      [
        [uuid(4), false],
        [uuid(5), true],
        [uuid(6), false],
      ],
    );
    const back = await store.replaceTargets(PHOTOS, [targetDraft(1), targetDraft(2)], ANY);
    assert.deepEqual(back.after.rules, lost.after.rules);
  });

  it('changes nothing where a rule names no target, or a mask keeps nothing', async (t) => {
    const { configurations: store } = await open(t);
    const { after } = await store.replaceTargets(PHOTOS, [targetDraft(1)], ANY);
    const mixed = [ruleDraft(4), ruleDraft(5, { targetId: uuid(9) })];
    await assert.rejects(store.replaceRules(PHOTOS, mixed, ANY), { code: 'InvalidRequest' });
    const masked = [targetDraft(1), targetDraft(2, { newSecret: null })];
    await assert.rejects(store.replaceTargets(PHOTOS, masked, ANY), { code: 'InvalidRequest' });
    assert.deepEqual(await store.read(PHOTOS), after);
  });

  it('keeps the incarnation of a rule that stays; no other rule ever has it', async (t) => {
    const { configurations: store } = await open(t);
    await store.replaceTargets(PHOTOS, [targetDraft(1)], ANY);
    const incarnations = async (...ids: number[]): Promise<(number | undefined)[]> => {
      const drafts = ids.map((id) => ruleDraft(id));
      const { after } = await store.replaceRules(PHOTOS, drafts, ANY);
      assert.deepEqual((await store.read(PHOTOS)).rules, after.rules);
      return after.rules.map((rule) => rule.incarnation);
    };
    const [four] = await incarnations(4);
    const [five, stillFour, six] = await incarnations(5, 4, 6);
    assert.equal(stillFour, four);
    await store.replaceTargets(PHOTOS, [], ANY);
    await store.replaceTargets(PHOTOS, [targetDraft(1)], ANY);
    assert.deepEqual(await incarnations(4, 5), [four, five]);
    await incarnations();
    const [fourAgain, fiveAgain] = await incarnations(4, 5);
    const all = [four, five, six, fourAgain, fiveAgain];
    assert.equal(new Set(all).size, 5);
    assert(all.every((incarnation) => Number.isSafeInteger(incarnation) && incarnation! >= 1));
  });

  it('a disabled rule keeps the target that it was stored with after the target is gone', async (t) => {
    const { configurations: store } = await open(t);
    await store.replaceTargets(PHOTOS, [targetDraft(1)], ANY);
    await store.replaceRules(PHOTOS, [ruleDraft(4)], ANY);
    await store.replaceTargets(PHOTOS, [], ANY);
    const refused = { code: 'InvalidRequest' };
    await assert.rejects(store.replaceRules(PHOTOS, [ruleDraft(4)], ANY), refused);
    const other = ruleDraft(4, { enabled: false, targetId: uuid(9) });
    await assert.rejects(store.replaceRules(PHOTOS, [other], ANY), refused);
    const stranger = ruleDraft(5, { enabled: false });
    await assert.rejects(store.replaceRules(PHOTOS, [stranger], ANY), refused);
    const kept = ruleDraft(4, { enabled: false, prefix: 'edited/' });
    const { after } = await store.replaceRules(PHOTOS, [kept], ANY);
    assert.equal(after.rules[0]?.prefix, 'edited/');
  });

  it('the mask keeps a secret only for the same id, access key and origin', async (t) => {
    const { configurations: store } = await open(t);
    await store.replaceTargets(PHOTOS, [targetDraft(1)], ANY);
    const keep = targetDraft(1, { newSecret: null });
    const accepted = [keep, { ...keep, endpoint: `${keep.endpoint}:443/a`, targetBucket: 'other' }];
    for (const draft of accepted) await store.replaceTargets(PHOTOS, [draft], ANY);
    const refused = [
      { ...keep, accessKeyId: 'AKIAOTHER' },
      { ...keep, id: uuid(2) },
      { ...keep, endpoint: 'https://192.0.2.2' },
      { ...keep, endpoint: 'http://192.0.2.1' },
      { ...keep, endpoint: 'https://192.0.2.1:8443' },
    ];
    for (const draft of refused) {
      await assert.rejects(store.replaceTargets(PHOTOS, [draft], ANY), { code: 'InvalidRequest' });
    }
    await assert.rejects(store.replaceTargets(MUSIC, [keep], ANY), { code: 'InvalidRequest' });
  });
}

function revisions(open: OpenEmptyStore): void {
  it('revisions count the changes of their own bucket, over targets and rules', async (t) => {
    const { configurations: store } = await open(t);
    const seen = [
      await store.replaceTargets(PHOTOS, [targetDraft(1)], ANY),
      await store.replaceTargets(MUSIC, [targetDraft(1)], ANY),
      await store.replaceRules(PHOTOS, [ruleDraft(4)], ANY),
      await store.replaceRules(PHOTOS, [ruleDraft(5)], ANY),
      await store.replaceTargets(PHOTOS, [], ANY),
      await store.replaceTargets(MUSIC, [], ANY),
    ].map(({ after }) => after.revision);
    assert.deepEqual(seen.map(countOf), [1, 1, 2, 3, 4, 2]);
    for (const revision of seen) assert.match(revision, /^\d+-[0-9a-f]{8}$/);
    assert.equal(new Set(seen).size, seen.length);
  });

  it('a bucket that is removed and made again counts anew and repeats no revision', async (t) => {
    const { configurations: store } = await open(t);
    const first = await store.replaceTargets(PHOTOS, [targetDraft(1)], ANY);
    await store.removeBucket(PHOTOS);
    const { after } = await store.replaceTargets(RECREATED, [targetDraft(1)], ANY);
    assert.equal(countOf(after.revision), 1);
    assert.notEqual(after.revision, first.after.revision);
    const stale = { kind: 'oneOf', tags: [formatETag(first.after.revision)] } as const;
    await assert.rejects(store.replaceTargets(RECREATED, [], stale), {
      code: 'PreconditionFailed',
    });
  });

  it('a save that changes nothing changes no revision', async (t) => {
    const { configurations: store } = await open(t);
    const nothing = await store.replaceTargets(PHOTOS, [], ANY);
    assert.deepEqual(nothing.after, { revision: '0', targets: [], rules: [] });
    assert.deepEqual((await store.replaceRules(PHOTOS, [], ANY)).after, nothing.after);
    const drafts = [targetDraft(1), targetDraft(2, { exemptKinds: ['loopback', 'private'] })];
    const saved = await store.replaceTargets(PHOTOS, drafts, ANY);
    assert.deepEqual(saved.newSecrets, [uuid(1), uuid(2)]);
    const { after } = await store.replaceRules(PHOTOS, [ruleDraft(4), ruleDraft(5)], ANY);
    const masked = drafts.map((draft) => ({ ...draft, newSecret: null }));
    for (const same of [drafts, masked, [drafts[0]!, masked[1]!]]) {
      const change = await store.replaceTargets(PHOTOS, same, ANY);
      assert.deepEqual(change, { before: after, after, newSecrets: [] });
    }
    const rules = await store.replaceRules(PHOTOS, [ruleDraft(4), ruleDraft(5)], ANY);
    assert.deepEqual(rules, { before: after, after });
    assert.deepEqual(await store.read(PHOTOS), after);
  });

  it('every value counts: another order, secret, exempt kind, or field is a change', async (t) => {
    const { configurations: store } = await open(t);
    const [one, two] = [targetDraft(1), targetDraft(2)];
    let { revision } = (await store.replaceTargets(PHOTOS, [one, two], ANY)).after;
    const expectChange = async (
      drafts: readonly TargetDraft[],
      newSecrets: readonly string[],
    ): Promise<void> => {
      const change = await store.replaceTargets(PHOTOS, drafts, ANY);
      assert.notEqual(change.after.revision, revision);
      assert.deepEqual(change.newSecrets, newSecrets);
      revision = change.after.revision;
    };
    await expectChange([two, one], []);
    await expectChange([two, { ...one, newSecret: 'another' }], [uuid(1)]);
    const kept = { ...one, newSecret: null };
    for (const fields of [
      { exemptKinds: ['private'] },
      { exemptKinds: [] },
      { endpoint: `${one.endpoint}/a` },
      { endpoint: `${one.endpoint}:443/a` },
      { targetBucket: 'other' },
      { region: 'eu-1' },
      { enabled: false },
    ]) {
      await expectChange([two, { ...kept, ...fields }], []);
    }
    await expectChange([two], []);
  });

  it('a precondition holds for one of its tags, and "0" for a bucket without a record', async (t) => {
    const { configurations: store } = await open(t);
    const oneOf = (...tags: string[]) => ({ kind: 'oneOf', tags }) as const;
    const first = await store.replaceTargets(PHOTOS, [targetDraft(1)], oneOf('"0"'));
    const tag = formatETag(first.after.revision);
    const failed = { code: 'PreconditionFailed' };
    for (const tags of [['"0"'], [`W/${tag}`], ['"1"', '"2"'], [first.after.revision]]) {
      await assert.rejects(store.replaceTargets(PHOTOS, [], oneOf(...tags)), failed);
      await assert.rejects(store.replaceRules(PHOTOS, [], oneOf(...tags)), failed);
    }
    assert.deepEqual(await store.read(PHOTOS), first.after);
    const second = await store.replaceRules(PHOTOS, [ruleDraft(4)], oneOf('"9"', tag));
    await store.replaceTargets(PHOTOS, [], oneOf(formatETag(second.after.revision)));
  });

  it('of several changes with one and the same precondition, one happens', async (t) => {
    const { configurations: store } = await open(t);
    const attempts = Array.from({ length: 8 }, (_, n) =>
      store.replaceTargets(PHOTOS, [targetDraft(n)], { kind: 'oneOf', tags: ['"0"'] }),
    );
    const results = await Promise.allSettled(attempts);
    const winners = results.filter((result) => result.status === 'fulfilled');
    assert.equal(winners.length, 1);
    assert.deepEqual(await store.read(PHOTOS), winners[0]?.value.after);
  });

  it('changes at once are as if one came after the other', async (t) => {
    const { configurations: store } = await open(t);
    await store.replaceTargets(PHOTOS, [targetDraft(1)], ANY);
    const changes = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        n % 2 === 0
          ? store.replaceTargets(PHOTOS, n % 4 === 0 ? [] : [targetDraft(n % 15)], ANY)
          : store.replaceRules(PHOTOS, [], ANY),
      ),
    );
    const inOrder = changes
      .filter(({ before, after }) => before.revision !== after.revision)
      .toSorted((a, b) => countOf(a.after.revision) - countOf(b.after.revision));
    assert(inOrder.length > 5, 'they get into each other’s way');
    for (const [index, change] of inOrder.slice(1).entries()) {
      assert.deepEqual(change.before, inOrder[index]?.after);
    }
    assert.deepEqual(await store.read(PHOTOS), inOrder.at(-1)?.after);
  });
}

function identities(open: OpenEmptyStore): void {
  it('a bucket that was created again inherits nothing, and its change replaces all', async (t) => {
    const { configurations: store } = await open(t);
    await store.replaceTargets(PHOTOS, [targetDraft(1)], ANY);
    await store.replaceRules(PHOTOS, [ruleDraft(4)], ANY);
    assert.deepEqual(await store.read(RECREATED), { revision: '0', targets: [], rules: [] });
    const masked = [targetDraft(1, { newSecret: null })];
    await assert.rejects(store.replaceTargets(RECREATED, masked, ANY), { code: 'InvalidRequest' });
    await assert.rejects(store.replaceRules(RECREATED, [ruleDraft(4)], ANY), {
      code: 'InvalidRequest',
    });
    const { before, after } = await store.replaceTargets(RECREATED, [targetDraft(2)], ANY);
    assert.deepEqual([before.revision, before.targets, after.rules], ['0', [], []]);
    assert.deepEqual(await store.listBuckets(null), [RECREATED]);
    assert.deepEqual(await store.read(PHOTOS), { revision: '0', targets: [], rules: [] });
  });

  it('removes the record of that id alone, and removing nothing is no error', async (t) => {
    const { configurations: store } = await open(t);
    await store.removeBucket(PHOTOS);
    const { after } = await store.replaceTargets(RECREATED, [targetDraft(1)], ANY);
    await store.removeBucket(PHOTOS);
    assert.deepEqual(await store.read(RECREATED), after);
    await store.removeBucket(RECREATED);
    assert.deepEqual(await store.read(RECREATED), { revision: '0', targets: [], rules: [] });
    assert.deepEqual(await store.listBuckets(null), []);
  });
}

function hints(open: OpenEmptyStore): void {
  it('mayReplicate agrees with the rules after every kind of change', async (t) => {
    const { configurations: store } = await open(t);
    const expectHint = (expected: boolean, after: string): void =>
      assert.equal(store.mayReplicate(PHOTOS.name), expected, after);
    expectHint(false, 'nothing');
    await store.replaceTargets(PHOTOS, [targetDraft(1), targetDraft(2)], ANY);
    expectHint(false, 'targets alone');
    await store.replaceRules(PHOTOS, [ruleDraft(4, { enabled: false })], ANY);
    expectHint(true, 'a disabled rule, whose gaps are noted');
    await store.replaceRules(PHOTOS, [], ANY);
    expectHint(false, 'no rules any more');
    await store.replaceRules(PHOTOS, [ruleDraft(4)], ANY);
    expectHint(true, 'an enabled rule');
    await store.replaceTargets(PHOTOS, [targetDraft(1, { enabled: false })], ANY);
    expectHint(true, 'a paused target');
    assert.equal(store.mayReplicate(MUSIC.name), false);
    await store.replaceTargets(PHOTOS, [targetDraft(2)], ANY);
    expectHint(true, 'the only rule lost its target');
    await store.replaceTargets(RECREATED, [targetDraft(2)], ANY);
    expectHint(false, 'another bucket took the name, without rules');
    await store.replaceRules(RECREATED, [ruleDraft(4, { targetId: uuid(2) })], ANY);
    await store.removeBucket(PHOTOS);
    expectHint(true, 'the bucket of before is gone, which changes nothing');
    await store.removeBucket(RECREATED);
    expectHint(false, 'the bucket is gone');
  });
}

function listing(open: OpenEmptyStore): void {
  it('lists at most 256 buckets at a time, in order, each once', async (t) => {
    const { configurations: store } = await open(t);
    const names = Array.from({ length: 300 }, (_, n) => `bucket-${String(n).padStart(3, '0')}`);
    await Promise.all(
      names
        .toReversed()
        .map((name) => store.replaceTargets({ id: `id of ${name}`, name }, [targetDraft(1)], ANY)),
    );
    const first = await store.listBuckets(null);
    const second = await store.listBuckets(first.at(-1)!.name);
    assert.deepEqual([first.length, second.length], [256, 44]);
    assert.deepEqual(
      [...first, ...second],
      names.map((name) => ({ id: `id of ${name}`, name })),
    );
    assert.deepEqual(await store.listBuckets('bucket-299'), []);
    assert.equal((await store.listBuckets('bucket-100-and-a-half'))[0]?.name, 'bucket-101');
  });
}

function closing(open: OpenEmptyStore): void {
  it('finishes what was asked before it closes, and refuses what comes after', async (t) => {
    const { configurations: store, close } = await open(t);
    await store.probe();
    const running = store.replaceTargets(PHOTOS, [targetDraft(1)], ANY);
    let finished = false;
    void running.then(() => (finished = true));
    const closed = close();
    assert.equal(close(), closed);
    const closedError = { code: 'ServiceUnavailable', status: 503 };
    await assert.rejects(store.replaceTargets(PHOTOS, [], ANY), closedError);
    await closed;
    assert.equal(finished, true);
    assert.equal((await running).after.revision.split('-')[0], '1');
    await assert.rejects(store.read(PHOTOS), closedError);
    await assert.rejects(store.replaceRules(PHOTOS, [], ANY), closedError);
    await assert.rejects(store.removeBucket(PHOTOS), closedError);
    await assert.rejects(store.listBuckets(null), closedError);
    await assert.rejects(store.probe(), closedError);
  });
}
