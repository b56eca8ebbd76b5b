/** How long a target may think, and what its silence costs others. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  ANSWER_SILENCE_MS,
  COMPLETION_SILENCE_MS,
  Silences,
  SILENCE_MAX_MS,
} from '../../src/engine/silences.ts';

const MINUTE_MS = 60_000;

function setUp() {
  const silences = new Silences();
  const told: string[] = [];
  const forDelivery = (name: string) =>
    silences.for({
      onSilent: () => told.push(`${name} is silent`),
      onSpoken: () => told.push(`${name} speaks`),
    });
  return { told, forDelivery };
}

describe('silences of a target', () => {
  it('last five minutes, or ten where an upload is completed', () => {
    assert.deepEqual([ANSWER_SILENCE_MS, COMPLETION_SILENCE_MS], [5 * MINUTE_MS, 10 * MINUTE_MS]);
    const { forDelivery } = setUp();
    const silence = forDelivery('a');
    assert.equal(silence.begin('answer'), ANSWER_SILENCE_MS);
    assert.equal(silence.begin('completion'), COMPLETION_SILENCE_MS);
  });

  it('are two at a time, of one delivery or of several', () => {
    const { forDelivery, told } = setUp();
    const [first, second] = [forDelivery('first'), forDelivery('second')];
    assert.notEqual(first.begin('answer'), null);
    assert.notEqual(second.begin('answer'), null);
    assert.equal(first.begin('answer'), null);
    assert.equal(second.begin('completion'), null);
    assert.deepEqual(told, ['first is silent', 'second is silent']);
    first.end(false);
    assert.equal(second.begin('completion'), COMPLETION_SILENCE_MS);
    assert.equal(first.begin('answer'), null);
  });

  it('are told to the delivery whose they are, both when they begin and when they end', () => {
    const { forDelivery, told } = setUp();
    const [first, second] = [forDelivery('first'), forDelivery('second')];
    first.begin('answer');
    second.begin('answer');
    second.end(false);
    first.end(true);
    assert.deepEqual(told, [
      'first is silent',
      'second is silent',
      'second speaks',
      'first speaks',
    ]);
  });

  it('may last twice as long after each that was not enough, an hour at most', () => {
    const { forDelivery } = setUp();
    const granted: (number | null)[] = [];
    for (let n = 0; n < 6; n++) {
      const silence = forDelivery('a');
      granted.push(silence.begin('answer'), silence.begin('completion'));
      silence.end(true);
      silence.end(false);
    }
    assert.deepEqual(
      granted,
      [5, 10, 10, 20, 20, 40, 40, 60, 60, 60, 60, 60].map((minutes) => minutes * MINUTE_MS),
    );
    assert.equal(SILENCE_MAX_MS, 60 * MINUTE_MS);
  });

  it('may last no longer than before where the target spoke in time', () => {
    const { forDelivery } = setUp();
    const silence = forDelivery('a');
    for (let n = 0; n < 3; n++) {
      assert.equal(silence.begin('answer'), ANSWER_SILENCE_MS);
      silence.end(false);
    }
  });

  it('of one lane are nothing to another', () => {
    const first = setUp().forDelivery('a');
    first.begin('answer');
    first.begin('answer');
    first.end(true);
    const other = setUp().forDelivery('b');
    assert.equal(other.begin('answer'), ANSWER_SILENCE_MS);
  });
});
