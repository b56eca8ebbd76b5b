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

function setUp(listed: readonly Listed[], failure: RequestFailure | null = null) {
  let now = BEGUN + 1_000 + LOOK_AFTER_MS;
  const aborted: string[] = [];
  let left = 0;
  let looks = 0;
  const lost = new LostUploads({
    nowMs: () => now,
    onLeft: () => (left += 1),
    lookAfter: () => undefined,
  });
  const client = {
    listMultipartUploads: async (key: string) => {
      looks += 1;
      if (failure !== null) return { ok: false, failure };
      const uploads = listed
        .filter(({ uploadId }) => !aborted.includes(uploadId))
        .map(({ uploadId, at }) => ({ key, uploadId, initiatedAtMs: at + AHEAD }));
      return { ok: true, value: { uploads, dateMs: now + AHEAD, complete: true } };
    },
    listParts: async ({ uploadId }: { uploadId: string }) => {
      const count = listed.find((upload) => upload.uploadId === uploadId)?.parts ?? 0;
      return { ok: true, value: { parts: Array.from({ length: count }), next: null } };
    },
    abortMultipartUpload: async ({ uploadId }: { uploadId: string }) => {
      aborted.push(uploadId);
      return { ok: true, value: null };
    },
  } as unknown as TargetClient;
  return {
    lost,
    note: (at = BEGUN) => lost.note({ key: 'large', begunAt: at, endedAt: at + 1_000 }),
    look: () => lost.abortDue(client, () => true, {}),
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
    const { note, look, result } = setUp([], DENIED);
    note();
    await look();
    assert.deepEqual(result(), { aborted: [], left: 1, open: 0 });
  });

  it('are looked for again where listing fails, five times at most', async () => {
    const { note, look, result, looks } = setUp([], RESET);
    note();
    for (let n = 0; n < 9; n++) await look();
    assert.equal(looks(), 5);
    assert.deepEqual(result(), { aborted: [], left: 1, open: 0 });
  });
});
