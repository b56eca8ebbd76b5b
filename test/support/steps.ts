/**
 * The steps at which a test may find a process that replicates: the moment before a call of one of
 * the engine's ports, when nothing of it has happened, and the moment after it, when all of it has
 * and nobody was told. A call of the outbox that takes several transactions has moments between them.
 */
import type { TargetClient } from '../../src/egress/target-client.ts';
import type { Outbox, Tenure } from '../../src/model/ports.ts';

export type OutboxCall = Extract<
  keyof Outbox | keyof Tenure,
  | 'announce'
  | 'commit'
  | 'abandon'
  | 'acquireLease'
  | 'recoverClaims'
  | 'clampSchedules'
  | 'leftIntents'
  | 'settle'
  | 'sweep'
  | 'claim'
  | 'storeUpload'
  | 'settleClaim'
  | 'startResync'
  | 'advanceResync'
>;
export type TargetCall = Exclude<keyof TargetClient, 'close' | 'destroy'>;
/** `committed` is the host's call, which ends when the client may be answered. */
export type Call = OutboxCall | TargetCall | 'committed';
export type Moment = 'before' | 'after';
/** One transaction is committed, and the next one has not begun. */
export type Between = `${OutboxCall}:between`;
export type StepName = `${Call}:${Moment}` | `${Call}:${Moment}#${number}` | Between;

/** A step of one bucket, or, where the call is about none in particular, of the whole process. */
export interface Step {
  readonly bucket: string | null;
  /** `#2` is the second time that the step is reached, counted from when it is asked for. */
  readonly name: StepName;
}

/** The environment variable with the steps to stop at from the start, as JSON. */
export const STEPS_VARIABLE = 'TEST_STEPS';
/** `PUT` with steps as JSON: stops at these too. */
export const STEPS_PATH = '/api/v1/test-steps';
/**
 * `POST` with `{"leapMs": …}`: it is so much later from now on, by every clock of the process. `PUT`:
 * from now on no time passes by its monotonic clock, so that nobody gives up waiting.
 */
export const TIME_PATH = '/api/v1/test-time';

/** The line on stderr that tells that a step was reached. */
export function describeStep({ bucket, name }: Step): string {
  return `stopped at ${name}${bucket === null ? '' : ` of ${bucket}`}.\n`;
}
