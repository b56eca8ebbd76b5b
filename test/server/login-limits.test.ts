import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LoginLimits } from '../../src/server/login-limits.ts';

function setUp() {
  let nowMs = 0;
  const limits = new LoginLimits(() => nowMs);
  const isHeld = (username: string, address: string): boolean => {
    try {
      limits.check(username, address);
      return false;
    } catch (error) {
      assert.equal((error as { code?: unknown }).code, 'TooManyRequests');
      return true;
    }
  };
  const fail = (times: number, username: string, address: string): void => {
    for (let i = 0; i < times; i += 1) limits.failed(username, address);
  };
  return { limits, isHeld, fail, pass: (ms: number) => (nowMs += ms) };
}

describe('login limits', () => {
  it('hold back a pair after five failures, and nobody else', () => {
    const { fail, isHeld } = setUp();
    fail(4, 'ann', '192.0.2.1');
    assert.equal(isHeld('ann', '192.0.2.1'), false);
    fail(1, 'ann', '192.0.2.1');
    assert.equal(isHeld('ann', '192.0.2.1'), true);
    assert.equal(isHeld('ann', '192.0.2.2'), false, 'the account is not locked');
    assert.equal(isHeld('bob', '192.0.2.1'), false);
  });

  it('make the wait grow to a minute and no further', () => {
    const { fail, isHeld, pass } = setUp();
    fail(5, 'ann', '192.0.2.1');
    pass(1_000);
    assert.equal(isHeld('ann', '192.0.2.1'), false);
    fail(1, 'ann', '192.0.2.1');
    pass(1_000);
    assert.equal(isHeld('ann', '192.0.2.1'), true);
    pass(1_000);
    assert.equal(isHeld('ann', '192.0.2.1'), false);
    fail(24, 'ann', '192.0.2.1');
    pass(59_000);
    assert.equal(isHeld('ann', '192.0.2.1'), true);
    pass(1_000);
    assert.equal(isHeld('ann', '192.0.2.1'), false);
  });

  it('tell when to come back, in whole seconds', () => {
    const { limits, fail, pass } = setUp();
    fail(7, 'ann', '192.0.2.1');
    pass(1_500);
    assert.throws(() => limits.check('ann', '192.0.2.1'), { retryAfterSeconds: 3 });
  });

  it('forget the failures of a pair that logs in, but not those of the address', () => {
    const { limits, fail, isHeld } = setUp();
    fail(5, 'ann', '192.0.2.1');
    limits.succeeded('ann', '192.0.2.1');
    assert.equal(isHeld('ann', '192.0.2.1'), false);
    for (let i = 0; i < 25; i += 1) fail(1, `user${i}`, '192.0.2.1');
    assert.equal(isHeld('ann', '192.0.2.1'), true);
    assert.equal(isHeld('ann', '192.0.2.9'), false);
  });

  it('forget everything after a quarter of an hour', () => {
    const { fail, isHeld, pass } = setUp();
    fail(20, 'ann', '192.0.2.1');
    pass(15 * 60_000 + 1);
    fail(1, 'ann', '192.0.2.1');
    assert.equal(isHeld('ann', '192.0.2.1'), false);
  });

  it('count IPv6 addresses of one /64 together, and IPv4 however it is written', () => {
    const { fail, isHeld } = setUp();
    fail(5, 'ann', '2001:db8:0:1::1');
    assert.equal(isHeld('ann', '2001:db8:0:1:ffff::2'), true);
    assert.equal(isHeld('ann', '2001:db8:0:2::1'), false);
    fail(5, 'bob', '::ffff:192.0.2.1');
    assert.equal(isHeld('bob', '192.0.2.1'), true);
    fail(5, 'cid', '::1');
    assert.equal(isHeld('cid', '::1'), true);
  });

  it('keep a bounded number of counters', () => {
    const { limits } = setUp();
    for (let i = 0; i < 25_000; i += 1) limits.failed(`user${i}`, `192.0.${i >> 8}.${i & 255}`);
    assert.equal(limits.size, 20_000);
  });
});
