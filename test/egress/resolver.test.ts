/** How lookups are queued, shared, bounded and remembered. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import {
  BoundedResolver,
  createSystemLookup,
  type BoundedResolverOptions,
} from '../../src/egress/resolver.ts';
import { ManualClock } from './manual-clock.ts';
import { createRealClock } from '../support/real-clock.ts';
import { assertProperty } from '../support/seed.ts';

interface OpenLookup {
  readonly hostname: string;
  answer(addresses: readonly string[]): void;
  fail(): void;
}

/** A resolver whose lookups stay open until the test answers them. */
function fixture(options: Partial<BoundedResolverOptions> = {}) {
  const clock = new ManualClock();
  const started: OpenLookup[] = [];
  let open = 0;
  let openMax = 0;
  const resolver = new BoundedResolver({
    lookup: (hostname) =>
      new Promise((resolve, reject) => {
        openMax = Math.max(openMax, ++open);
        const answer = (addresses: readonly string[]) => (open--, resolve(addresses));
        started.push({ hostname, answer, fail: () => (open--, reject(new Error('ENOTFOUND'))) });
      }),
    clock,
    concurrency: 1,
    lateMax: 0,
    ...options,
  });
  return {
    clock,
    resolver: { resolve: (name: string, owner = 'owner') => resolver.resolve(name, owner) },
    started,
    openMax: () => openMax,
    startedNames: () => started.map(({ hostname }) => hostname),
  };
}

describe('BoundedResolver', () => {
  it('answers with all addresses and leaves no timer behind', async () => {
    const { clock, resolver, started } = fixture();
    const resolution = resolver.resolve('a.example');
    assert.equal(clock.timersSet, 1);
    started[0]!.answer(['10.0.0.1', '::1']);
    assert.deepEqual(await resolution, { addresses: ['10.0.0.1', '::1'] });
    assert.equal(clock.timersSet, 0);
  });

  it('calls a failure, an empty answer and a throwing lookup unresolved', async () => {
    const { resolver, started } = fixture();
    const failed = resolver.resolve('a.example');
    started[0]!.fail();
    assert.equal(await failed, 'unresolved');
    const empty = resolver.resolve('b.example');
    started[1]!.answer([]);
    assert.equal(await empty, 'unresolved');
    const lookup = (): never => {
      throw new Error('broken');
    };
    assert.equal(await fixture({ lookup }).resolver.resolve('c.example'), 'unresolved');
  });

  for (const concurrency of [1, 2]) {
    it(`runs at most ${concurrency} at a time, the others in their order`, async () => {
      const { openMax, resolver, started, startedNames } = fixture({ concurrency });
      const names = ['a', 'b', 'c', 'd', 'e'];
      const all = Promise.all(names.map((name) => resolver.resolve(name)));
      for (let index = 0; index < names.length; index++) {
        assert.equal(started.length, Math.min(index + concurrency, names.length));
        started[index]!.answer(['192.0.2.1']);
        await setImmediate();
      }
      assert.deepEqual(await all, Array(5).fill({ addresses: ['192.0.2.1'] }));
      assert.deepEqual(startedNames(), names);
      assert.equal(openMax(), concurrency);
    });
  }

  it('shares one lookup among all who ask for a name, running or queued', async () => {
    const { resolver, started, startedNames } = fixture();
    const first = [resolver.resolve('a'), resolver.resolve('b'), resolver.resolve('a')];
    const second = resolver.resolve('b');
    started[0]!.answer(['192.0.2.1']);
    await setImmediate();
    started[1]!.answer(['192.0.2.2']);
    assert.deepEqual(await Promise.all(first), [
      { addresses: ['192.0.2.1'] },
      { addresses: ['192.0.2.2'] },
      { addresses: ['192.0.2.1'] },
    ]);
    assert.deepEqual(await second, { addresses: ['192.0.2.2'] });
    assert.deepEqual(startedNames(), ['a', 'b']);
  });

  it('remembers an answer, also a negative one, for ten seconds and no longer', async () => {
    const { clock, resolver, started } = fixture();
    const first = [resolver.resolve('a'), resolver.resolve('b')];
    started[0]!.answer(['192.0.2.1']);
    await setImmediate();
    started[1]!.fail();
    await Promise.all(first);
    clock.advance(9_999);
    assert.deepEqual(await resolver.resolve('a'), { addresses: ['192.0.2.1'] });
    assert.equal(await resolver.resolve('b'), 'unresolved');
    assert.equal(started.length, 2);
    clock.advance(1);
    const again = resolver.resolve('a');
    assert.equal(started.length, 3);
    started[2]!.answer(['192.0.2.9']);
    assert.deepEqual(await again, { addresses: ['192.0.2.9'] });
  });

  it('remembers at most so many names, the newest', async () => {
    const { resolver, started, startedNames } = fixture({ namesMax: 2 });
    for (const [index, name] of ['a', 'b', 'c'].entries()) {
      const resolution = resolver.resolve(name);
      started[index]!.answer(['192.0.2.1']);
      await resolution;
    }
    await resolver.resolve('b');
    await resolver.resolve('c');
    assert.deepEqual(startedNames(), ['a', 'b', 'c']);
    void resolver.resolve('a');
    assert.deepEqual(startedNames(), ['a', 'b', 'c', 'a']);
  });

  it('answers at once while too many names wait', async () => {
    const { clock, resolver } = fixture({ waitingMax: 2 });
    const waiting = ['a', 'b', 'c'].map((name) => resolver.resolve(name));
    assert.equal(await resolver.resolve('d'), 'unanswered');
    assert.equal(clock.timersSet, 3);
    const shared = resolver.resolve('c');
    assert.equal(clock.timersSet, 4);
    clock.advance(2_000);
    assert.deepEqual(await Promise.all([...waiting, shared]), Array(4).fill('unanswered'));
  });
});

describe('BoundedResolver with several owners', () => {
  it('lets owners take turns, however many names one of them asks for', async () => {
    const { resolver, started, startedNames } = fixture();
    const many = Array.from({ length: 50 }, (_, n) => resolver.resolve(`many-${n}`, 'a'));
    const one = resolver.resolve('one', 'b');
    const two = resolver.resolve('two', 'c');
    for (let n = 0; n < 4; n++) {
      started[n]!.answer(['192.0.2.1']);
      await setImmediate();
    }
    assert.deepEqual(await Promise.all([one, two]), Array(2).fill({ addresses: ['192.0.2.1'] }));
    assert.deepEqual(startedNames().slice(0, 4).toSorted(), ['many-0', 'many-1', 'one', 'two']);
    assert.equal(many.length, 50);
  });

  it('keeps taking turns while several owners have many', async () => {
    const { resolver, started, startedNames } = fixture();
    for (let n = 0; n < 4; n++) void resolver.resolve(`a${n}`, 'a');
    for (let n = 0; n < 3; n++) void resolver.resolve(`b${n}`, 'b');
    for (let n = 0; n < 6; n++) {
      started[n]!.answer(['192.0.2.1']);
      await setImmediate();
    }
    assert.deepEqual(startedNames(), ['a0', 'a1', 'b0', 'a2', 'b1', 'a3', 'b2']);
  });

  it('looks a name up once for all owners, on the turn of the first', async () => {
    const { resolver, started, startedNames } = fixture();
    void resolver.resolve('first', 'a');
    for (let n = 0; n < 5; n++) void resolver.resolve(`more-${n}`, 'a');
    const shared = [resolver.resolve('shared', 'a'), resolver.resolve('shared', 'b')];
    started[0]!.answer(['192.0.2.1']);
    await setImmediate();
    started[1]!.answer(['192.0.2.1']);
    await setImmediate();
    const index = startedNames().indexOf('shared');
    assert(index >= 1 && index <= 2, startedNames().join());
    started[index]!.answer(['192.0.2.7']);
    assert.deepEqual(await Promise.all(shared), Array(2).fill({ addresses: ['192.0.2.7'] }));
    assert.equal(startedNames().filter((name) => name === 'shared').length, 1);
  });

  it('gives each owner a share of the places to wait, and one with fewer a place of the most', async () => {
    const { clock, resolver, startedNames } = fixture({ waitingMax: 6, ownerWaitingMax: 4 });
    void resolver.resolve('running', 'z');
    const a = Array.from({ length: 6 }, (_, n) => resolver.resolve(`a-${n}`, 'a'));
    assert.deepEqual(await Promise.all(a.slice(4)), ['unanswered', 'unanswered']);
    void resolver.resolve('b-0', 'b');
    void resolver.resolve('b-1', 'b');
    const c = resolver.resolve('c-0', 'c');
    assert.equal(await a[3], 'unanswered', 'the newest of the longest queue gave way');
    assert.equal(await resolver.resolve('b-2', 'b'), 'unanswered', 'b has nearly as many as a');
    clock.advance(2_000);
    assert.equal(await c, 'unanswered');
    assert.equal(clock.timersSet, 0);
    assert.deepEqual(startedNames(), ['running']);
  });
});

describe('BoundedResolver with lookups that do not settle', () => {
  it('answers everybody within two seconds, time in the queue included', async () => {
    const { clock, resolver, startedNames } = fixture();
    const settled: string[] = [];
    const ask = (name: string) =>
      resolver
        .resolve(name)
        .then((resolution) => settled.push(`${name} ${JSON.stringify(resolution)}`));
    const stuck = ask('stuck');
    clock.advance(1_500);
    const queued = ask('queued');
    clock.advance(499);
    await setImmediate();
    assert.deepEqual(settled, []);
    clock.advance(1);
    await stuck;
    clock.advance(1_499);
    await setImmediate();
    assert.deepEqual(settled, ['stuck "unanswered"']);
    clock.advance(1);
    await queued;
    assert.deepEqual(settled, ['stuck "unanswered"', 'queued "unanswered"']);
    assert.deepEqual(startedNames(), ['stuck']);
    assert.equal(clock.timersSet, 0);
  });

  it('keeps the slot, so that threads do not run out, and answers later saves all the same', async () => {
    const { clock, openMax, resolver } = fixture();
    void resolver.resolve('stuck');
    for (let round = 0; round < 20; round++) {
      const resolution = resolver.resolve(`name-${round}`);
      clock.advance(2_000);
      assert.equal(await resolution, 'unanswered');
    }
    assert.equal(openMax(), 1);
    assert.equal(clock.timersSet, 0);
  });

  it('goes on once the lookup settles, and keeps its late answer', async () => {
    const { clock, resolver, started, startedNames } = fixture();
    const slow = resolver.resolve('slow');
    const abandoned = resolver.resolve('abandoned');
    clock.advance(2_000);
    assert.deepEqual(await Promise.all([slow, abandoned]), ['unanswered', 'unanswered']);
    const next = resolver.resolve('next');
    started[0]!.answer(['10.0.0.1']);
    await setImmediate();
    assert.deepEqual(startedNames(), ['slow', 'next']);
    started[1]!.answer(['10.0.0.2']);
    assert.deepEqual(await next, { addresses: ['10.0.0.2'] });
    assert.deepEqual(await resolver.resolve('slow'), { addresses: ['10.0.0.1'] });
  });

  it('gives a second caller its own two seconds on a lookup that is late for the first', async () => {
    const { clock, resolver, started } = fixture();
    const first = resolver.resolve('slow');
    clock.advance(2_000);
    assert.equal(await first, 'unanswered');
    const second = resolver.resolve('slow');
    clock.advance(1_000);
    started[0]!.answer(['10.0.0.1']);
    assert.deepEqual(await second, { addresses: ['10.0.0.1'] });
    assert.equal(started.length, 1);
  });

  it('bears with a few late lookups, so that one that hangs does not hold up the others', async () => {
    const { clock, openMax, resolver, started, startedNames } = fixture({ lateMax: 2 });
    const ask = (name: string, owner: string) => resolver.resolve(name, owner);
    void ask('stuck-1', 'a');
    const waiting = ask('healthy-1', 'b');
    clock.advance(499);
    assert.deepEqual(startedNames(), ['stuck-1']);
    clock.advance(1);
    assert.deepEqual(startedNames(), ['stuck-1', 'healthy-1']);
    started[1]!.answer(['192.0.2.1']);
    assert.deepEqual(await waiting, { addresses: ['192.0.2.1'] });
    for (const [name, owner] of [
      ['stuck-2', 'b'],
      ['stuck-3', 'c'],
      ['waits', 'd'],
    ] as const) {
      void ask(name, owner);
      clock.advance(500);
    }
    clock.advance(10_000);
    assert.equal(openMax(), 3, 'two late ones and one more, however long they hang');
    assert.deepEqual(startedNames(), ['stuck-1', 'healthy-1', 'stuck-2', 'stuck-3']);
    const last = ask('last', 'e');
    started[0]!.fail();
    await setImmediate();
    clock.advance(500);
    assert.equal(startedNames().at(-1), 'last', 'the place of a late one is free once it settles');
    started.at(-1)!.answer(['192.0.2.2']);
    assert.deepEqual(await last, { addresses: ['192.0.2.2'] });
  });

  it('lets no owner have more than its share, late ones included', async () => {
    const limits = { concurrency: 2, lateMax: 3, ownerMax: 2 };
    const { clock, resolver, startedNames } = fixture(limits);
    for (let n = 0; n < 20; n++) void resolver.resolve(`hangs-${n}`, 'a');
    clock.advance(1_000);
    assert.deepEqual(startedNames(), ['hangs-0', 'hangs-1']);
    void resolver.resolve('other-1', 'b');
    void resolver.resolve('other-2', 'c');
    assert.deepEqual(startedNames().slice(2), ['other-1', 'other-2'], 'others begin at once');
  });

  it('settles every call and never runs too many, in any order of events', async () => {
    const event = fc.oneof(
      fc.record({ ask: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f') }),
      fc.record({ settle: fc.nat({ max: 5 }), ok: fc.boolean() }),
      fc.record({ advanceMs: fc.constantFrom(1, 500, 1_999, 2_000, 10_000) }),
    );
    const scenario = fc.tuple(fc.integer({ min: 1, max: 3 }), fc.array(event, { maxLength: 40 }));
    await assertProperty(
      fc.asyncProperty(scenario, async ([concurrency, events]) => {
        const limits = { concurrency, namesMax: 3, waitingMax: 3 };
        const { clock, openMax, resolver, started } = fixture(limits);
        const calls: Promise<unknown>[] = [];
        for (const step of events) {
          if ('ask' in step) calls.push(resolver.resolve(step.ask));
          else if ('advanceMs' in step) clock.advance(step.advanceMs);
          else {
            const [lookup] = started.splice(step.settle % Math.max(started.length, 1), 1);
            if (step.ok) lookup?.answer([`192.0.2.${lookup.hostname.charCodeAt(0)}`]);
            else lookup?.fail();
            await setImmediate();
          }
        }
        clock.advance(2_000);
        await Promise.all(calls);
        assert.equal(clock.timersSet, 0);
        assert.ok(openMax() <= concurrency);
      }),
      { numRuns: 300 },
    );
  });
});

describe('the real clock and lookup', () => {
  it('resolves an address without a name server', async () => {
    const resolver = new BoundedResolver({
      lookup: createSystemLookup(),
      clock: createRealClock(),
      concurrency: 1,
    });
    assert.deepEqual(await resolver.resolve('127.0.0.1', 'owner'), { addresses: ['127.0.0.1'] });
  });

  it('times out by itself', async () => {
    const keepAlive = setInterval(() => undefined, 1_000);
    const resolver = new BoundedResolver({
      lookup: () => new Promise(() => undefined),
      clock: createRealClock(),
      concurrency: 1,
      timeoutMs: 5,
    });
    assert.equal(await resolver.resolve('never.example', 'owner'), 'unanswered');
    clearInterval(keepAlive);
  });

  it('lets the process end while a call waits', () => {
    const [resolver, realClock] = ['../../src/egress/resolver.ts', '../support/real-clock.ts'].map(
      (path) => JSON.stringify(new URL(path, import.meta.url).href),
    );
    const script = `
      const { BoundedResolver } = await import(${resolver});
      const { createRealClock } = await import(${realClock});
      const lookup = () => new Promise(() => undefined);
      const clock = createRealClock();
      const options = { lookup, clock, concurrency: 1, timeoutMs: 3_600_000 };
      void new BoundedResolver(options).resolve('never.example', 'owner');`;
    const { status } = spawnSync(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '--eval', script],
      { timeout: 60_000, stdio: 'inherit' },
    );
    assert.equal(status, 0);
  });
});
