/**
 * A mutant: one mistake that somebody could make in the source, and the suite that has to notice it.
 */

export type SuiteName = keyof typeof suites;

export interface Mutant {
  /** What the mistake does, as one would tell it of a bug. */
  readonly name: string;
  /** From the root of the repository. */
  readonly file: string;
  /** Occurs in the file exactly once: what is not found has moved, and the list with it. */
  readonly find: string;
  readonly replacement: string;
  readonly suite: SuiteName;
}

interface Suite {
  readonly file: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Each is one file, and says the same each time that it runs. */
export const suites = {
  /** 300 schedules: the file runs every other one. */
  simulation: { file: 'test/simulation/simulation.test.ts', env: { SIMULATION_RUNS: '600' } },
  delivery: { file: 'test/engine/deliver.test.ts' },
  liveness: { file: 'test/engine/liveness.test.ts' },
  reaction: { file: 'test/engine/lane-reaction.test.ts' },
  lost: { file: 'test/engine/lost-uploads.test.ts' },
  proof: { file: 'test/egress/target-proof.test.ts' },
  breaker: { file: 'test/model/breaker.test.ts' },
  breakers: { file: 'test/model/lane-breakers.test.ts' },
  doubt: { file: 'test/model/doubt.test.ts' },
  plan: { file: 'test/model/transfer-plan.test.ts' },
  strays: { file: 'test/engine/stray-uploads.test.ts' },
  contract: { file: 'test/contract/outbox.test.ts' },
  store: { file: 'test/store/outbox.test.ts' },
} as const satisfies Readonly<Record<string, Suite>>;

/** The file's text with the mistake in it. @throws Error where `find` does not occur exactly once */
export function mutate(text: string, { name, file, find, replacement }: Mutant): string {
  const parts = text.split(find);
  const [before, after] = parts;
  if (parts.length !== 2 || before === undefined || after === undefined) {
    throw new Error(`${name}: ${file} has its text ${parts.length - 1} times, not once.`);
  }
  return before + replacement + after;
}
