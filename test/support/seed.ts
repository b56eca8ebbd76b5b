/**
 * The one place that decides which random choices a test makes: `npm test` makes the same ones each
 * time, `npm run test:random` makes new ones (test/random/run.ts).
 *
 * ALARIK_TEST_SEED=<integer> is a seed of one's choice, ALARIK_TEST_SEED=random is one of this run's.
 * Whatever the seed is, it is printed, once for each test file. ALARIK_TEST_PATH=<path> goes straight
 * to the counterexample that fast-check printed beside the seed: for one property, not for all of
 * a file (--test-name-pattern).
 */
import { randomInt } from 'node:crypto';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';

const FIXED_SEED = 1;
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const { ALARIK_TEST_SEED: wanted, ALARIK_TEST_PATH: path } = process.env;

export const seed = chooseSeed(wanted);
/** Whether somebody asked for this seed: a few cases are enough then. */
export const isSeedChosen = wanted !== undefined && wanted !== 'random';
/** Whether this run goes straight to a counterexample. */
export const isReplay = path !== undefined;

console.log(`Seed of ${relative(ROOT, process.argv[1] ?? '')}: ALARIK_TEST_SEED=${seed}`);

/**
 * `fc.assert` with that seed. A failure prints the path to its counterexample too.
 *
 * @throws Error where the property does not hold
 */
export function assertProperty<Ts>(
  property: fc.IAsyncProperty<Ts>,
  parameters?: fc.Parameters<Ts>,
): Promise<void>;
export function assertProperty<Ts>(
  property: fc.IProperty<Ts>,
  parameters?: fc.Parameters<Ts>,
): void;
export function assertProperty<Ts>(
  property: fc.IRawProperty<Ts>,
  parameters: fc.Parameters<Ts> = {},
): unknown {
  const chosen = { seed, ...(path === undefined ? {} : { path }) };
  // eslint-disable-next-line no-restricted-properties -- the one place that may
  return fc.assert(property as fc.IProperty<Ts>, { ...chosen, ...parameters });
}

function chooseSeed(text: string | undefined): number {
  if (text === undefined) return FIXED_SEED;
  if (text === 'random') return randomInt(2 ** 31);
  const number = Number(text);
  if (!Number.isInteger(number)) {
    throw new Error(`ALARIK_TEST_SEED is ${text}: neither an integer nor the word random.`);
  }
  return number;
}
