/** Uploads whose ids were never told: which are aborted, which are left and counted. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LOOK_AFTER_MS, LostUploads } from '../../src/engine/lost-uploads.ts';
import type { TargetClient } from '../../src/egress/target-client.ts';
import type { RequestFailure } from '../../src/model/delivery.ts';
import { DENIED, RESET } from './fake-target.ts';

const BEGUN = 1_000_000;
/** By how much the target's clock is ahead. */
const AHEAD = 500_000;

interface Listed {
  readonly uploadId: string;
  /** By the server's clock. */
  readonly at: number;
  readonly parts?: number;
}

interface Answers {
  /** To the listing of uploads, of parts, and to the abort; null lets it through. */
  readonly uploads?: RequestFailure;
  readonly parts?: RequestFailure;
  readonly abort?: RequestFailure;
  readonly hasDate?: boolean;
  readonly complete?: boolean;
  /** How long the target thinks before it lists uploads, by a Date of the end. */
  readonly thinksMs?: number;
}

function setUp(listed: readonly Listed[], answers: Answers = {}) {
  const { hasDate = true, complete = true } = answers;
  let now = BEGUN + 1_000 + LOOK_AFTER_MS;
  const aborted: string[] = [];
  let left = 0;
  let looks = 0;
  let mayGoOn = true;
  const lost = new LostUploads({
    nowMs: () => now,
    onLeft: () => (left += 1),
  });
  const client = {
    listMultipartUploads: async (key: string) => {
      looks += 1;
      if (answers.uploads !== undefined) return { ok: false, failure: answers.uploads };
      const uploads = listed
        .filter(({ uploadId }) => !aborted.includes(uploadId))
        .map(({ uploadId, at }) => ({ key, uploadId, initiatedAtMs: at + AHEAD }));
      now += answers.thinksMs ?? 0;
      return { ok: true, value: { uploads, dateMs: hasDate ? now + AHEAD : null, complete } };
    },
    listParts: async ({ uploadId }: { uploadId: string }) => {
      if (answers.parts !== undefined) return { ok: false, failure: answers.parts };
      const count = listed.find((upload) => upload.uploadId === uploadId)?.parts ?? 0;
      return { ok: true, value: { parts: Array.from({ length: count }), next: null } };
    },
    abortMultipartUpload: async ({ uploadId }: { uploadId: string }) => {
      if (answers.abort !== undefined) return { ok: false, failure: answers.abort };
      aborted.push(uploadId);
      return { ok: true, value: null };
    },
  } as unknown as TargetClient;
  return {
    lost,
    note: (at = BEGUN) => lost.note({ key: 'large', begunAt: at, endedAt: at + 1_000 }),
    /** At the time of the next look. */
    look: async () => {
      await lost.abortDue(client, () => mayGoOn, {});
      now += LOOK_AFTER_MS;
    },
    allow: (isAllowed: boolean) => (mayGoOn = isAllowed),
    pass: (ms: number) => (now += ms),
    result: () => ({ aborted, left, open: lost.size }),
    looks: () => looks,
  };
}

describe('uploads whose creation was not answered', () => {
  const cases: readonly (readonly [string, readonly Listed[], string[], number])[] = [
    ['the only one is aborted', [{ uploadId: 'ours', at: BEGUN + 500 }], ['ours'], 0],
    ['none is there: nothing is left', [], [], 0],
    ['one of before is a stranger’s', [{ uploadId: 'theirs', at: BEGUN - 20_000 }], [], 0],
    ['one of after is a stranger’s', [{ uploadId: 'theirs', at: BEGUN + 30_000 }], [], 0],
    [
      'two at the same time: neither is touched',
      [
        { uploadId: 'a', at: BEGUN + 400 },
        { uploadId: 'b', at: BEGUN + 600 },
      ],
      [],
      1,
    ],
    ['one with parts is in use', [{ uploadId: 'a', at: BEGUN + 400, parts: 1 }], [], 1],
  ];
  for (const [name, listed, aborted, left] of cases) {
    it(name, async () => {
      const { note, look, result } = setUp(listed);
      note();
      await look();
      assert.deepEqual(result(), { aborted, left, open: 0 });
    });
  }

  it('those of three tries are aborted, as there are no more of them', async () => {
    const { note, look, pass, result } = setUp([
      { uploadId: 'a', at: BEGUN + 500 },
      { uploadId: 'b', at: BEGUN + 2_500 },
      { uploadId: 'c', at: BEGUN + 7_500 },
    ]);
    for (const at of [0, 2_000, 7_000]) note(BEGUN + at);
    pass(7_000);
    await look();
    assert.deepEqual(result(), { aborted: ['a', 'b', 'c'], left: 0, open: 0 });
  });

  it('those of three tries are aborted where slow answers leave open which is whose', async () => {
    const listed = [20_500, 40_500, 500].map((at) => ({ uploadId: `at ${at}`, at: BEGUN + at }));
    const { note, look, pass, result } = setUp(listed, { thinksMs: 30_000 });
    for (const at of [0, 20_000, 40_000]) note(BEGUN + at);
    pass(40_000);
    await look();
    assert.deepEqual(result().aborted.sort(), ['at 20500', 'at 40500', 'at 500']);
    assert.deepEqual([result().left, result().open], [0, 0]);
  });

  it('those of slow answers wait for the last of them to be a minute old', async () => {
    const listed = [500, 20_500].map((at) => ({ uploadId: `at ${at}`, at: BEGUN + at }));
    const { note, look, pass, result, lost } = setUp(listed, { thinksMs: 30_000 });
    for (const at of [0, 20_000]) note(BEGUN + at);
    await look();
    assert.deepEqual(result(), { aborted: [], left: 0, open: 2 });
    pass((lost.nextLookMs() ?? Infinity) + 1_000);
    await look();
    assert.deepEqual(result(), { aborted: ['at 500', 'at 20500'], left: 0, open: 0 });
  });

  it('those that were looked for in another order are aborted all the same', async () => {
    const answers: { uploads?: RequestFailure; thinksMs?: number } = { uploads: RESET };
    const listed = [500, 20_500].map((at) => ({ uploadId: `at ${at}`, at: BEGUN + at }));
    const { note, look, pass, result } = setUp(listed, answers);
    for (const at of [0, 20_000]) note(BEGUN + at);
    await look();
    // The second one is looked for before the first one is again, and the answer is slow.
    pass(21_000 - LOOK_AFTER_MS);
    delete answers.uploads;
    answers.thinksMs = 30_000;
    await look();
    answers.thinksMs = 0;
    await look();
    assert.deepEqual(result().aborted.sort(), ['at 20500', 'at 500']);
    assert.deepEqual([result().left, result().open], [0, 0]);
  });

  it('one that is gone meanwhile is not looked for again', async () => {
    const gone = { ...DENIED, status: 404, code: 'NoSuchUpload' };
    const { note, look, result } = setUp([{ uploadId: 'ours', at: BEGUN + 500 }], { abort: gone });
    note();
    await look();
    assert.deepEqual(result(), { aborted: [], left: 0, open: 0 });
  });

  it('one that was created since is known', async () => {
    const { lost, note, look, result } = setUp([{ uploadId: 'known', at: BEGUN + 1_500 }]);
    note();
    lost.created('large', 'known');
    await look();
    assert.deepEqual(result(), { aborted: [], left: 0, open: 0 });
  });

  it('nothing is looked for within the first minute', async () => {
    const { note, look, looks } = setUp([{ uploadId: 'ours', at: BEGUN + 500 }]);
    note(BEGUN + 5_000);
    await look();
    assert.equal(looks(), 0);
  });

  it('are counted where they may not be listed', async () => {
    const { note, look, result } = setUp([], { uploads: DENIED });
    note();
    await look();
    assert.deepEqual(result(), { aborted: [], left: 1, open: 0 });
  });

  it('are looked for again where listing fails, five times at most', async () => {
    const { note, look, result, looks } = setUp([], { uploads: RESET });
    note();
    for (let n = 0; n < 9; n++) await look();
    assert.equal(looks(), 5);
    assert.deepEqual(result(), { aborted: [], left: 1, open: 0 });
  });

  const ours = [{ uploadId: 'ours', at: BEGUN + 500 }];
  const untold: readonly (readonly [string, Answers])[] = [
    ['the target does not say when it answered', { hasDate: false }],
    ['there may be more of them than are listed', { complete: false }],
    ['their parts may not be listed', { parts: DENIED }],
  ];
  for (const [name, answers] of untold) {
    it(`are left and counted where ${name}`, async () => {
      const { note, look, result } = setUp(ours, answers);
      note();
      await look();
      assert.deepEqual(result(), { aborted: [], left: 1, open: 0 });
    });
  }

  for (const [name, answers] of [
    ['their parts', { parts: RESET }],
    ['their abort', { abort: DENIED }],
  ] as const) {
    it(`are looked for again where ${name} failed, and counted in the end`, async () => {
      const { lost, note, look, result, looks } = setUp(ours, answers);
      note();
      await look();
      assert.deepEqual(result(), { aborted: [], left: 0, open: 1 });
      assert.ok((lost.nextLookMs() ?? Infinity) <= 1_000, 'a minute later');
      for (let n = 0; n < 9; n++) await look();
      assert.equal(looks(), 5);
      assert.deepEqual(result(), { aborted: [], left: 1, open: 0 });
    });
  }

  it('are looked for a minute after, and no sooner', () => {
    const { lost, note } = setUp(ours);
    assert.equal(lost.nextLookMs(), null);
    note(BEGUN + LOOK_AFTER_MS);
    const waitMs = lost.nextLookMs() ?? 0;
    assert.ok(waitMs >= LOOK_AFTER_MS && waitMs <= LOOK_AFTER_MS + 5_000);
  });

  it('are told apart from those of tries long after', async () => {
    const { note, look, pass, result } = setUp([
      { uploadId: 'ours', at: BEGUN + 500 },
      { uploadId: 'theirs', at: BEGUN + 600_500 },
      { uploadId: 'also theirs', at: BEGUN + 600_600 },
    ]);
    note();
    note(BEGUN + 600_000);
    await look();
    assert.deepEqual(result(), { aborted: ['ours'], left: 0, open: 1 });
    pass(600_000);
    await look();
    assert.deepEqual(result(), { aborted: ['ours'], left: 1, open: 0 });
  });

  it('of another key are another’s', async () => {
    const { lost, note, look, result } = setUp(ours);
    note();
    lost.created('other key', 'ours');
    await look();
    assert.deepEqual(result(), { aborted: ['ours'], left: 0, open: 0 });
  });

  it('are counted where there are too many to remember', () => {
    const { lost, result } = setUp([]);
    for (let n = 0; n < 70; n++) lost.note({ key: `key-${n}`, begunAt: BEGUN, endedAt: BEGUN });
    assert.deepEqual(result(), { aborted: [], left: 6, open: 64 });
  });

  it('wait while the target is asked for nothing, and lose no try by it', async () => {
    const { note, look, allow, looks, result } = setUp(ours);
    note();
    allow(false);
    for (let n = 0; n < 9; n++) await look();
    assert.equal(looks(), 0);
    allow(true);
    await look();
    assert.deepEqual(result(), { aborted: ['ours'], left: 0, open: 0 });
  });

  it('are looked for again where a look came while the target is asked for nothing', async () => {
    const { lost, note, look, allow } = setUp(ours);
    note();
    allow(false);
    await look();
    assert.ok((lost.nextLookMs() ?? Infinity) <= 1_000, 'a minute later');
  });

  it('are given up where the target could not be asked for an hour', async () => {
    const { lost, note, look, allow, result, pass } = setUp(ours);
    note();
    allow(false);
    pass(58 * 60_000);
    lost.forgetOld();
    assert.deepEqual(result(), { aborted: [], left: 0, open: 1 });
    await look();
    pass(2 * 60_000);
    lost.forgetOld();
    assert.deepEqual(result(), { aborted: [], left: 1, open: 0 });
    assert.equal(lost.nextLookMs(), null);
  });
});
