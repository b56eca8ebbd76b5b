/** What the subject hint.ts is told and tells. */

/** Below its directory: the data directory of our side, which another process may open too. */
export const OURS = 'ours';

export interface HintRun {
  readonly side: 'ours' | 'doesExist' | 'get' | 'nothing';
  readonly turns: number;
  readonly lookupsPerTurn: number;
}

export type HintCommand =
  | ({ readonly kind: 'time' } & HintRun)
  | { readonly kind: 'watch'; readonly bucket: string; readonly limitMs: number };

export interface HintWatch {
  /** By the clock that all processes share (`process.hrtime`); null where the limit came first. */
  readonly seenAt: bigint | null;
  /** When the last look began that did not see it: the process may have been put to sleep since. */
  readonly missedAt: bigint;
}

export interface HintResult {
  readonly nanosPerLookup: number;
  readonly found: number;
}
