/**
 * The three breakers of a lane together: whether a row may be sent, what to claim next, and what is
 * shown of them. Pure; times of breakers are monotonic, those of rows by the store's clock.
 */
import { CLOSED, nextBreaker, type Breaker, type BreakerEvent } from './breaker.ts';
import type { Degradation, LaneReport } from './lane-report.ts';
import type { ClaimRequest, DueTimes } from './queue.ts';
import { operationOf, type Operation, type Row } from './row.ts';

export type BreakerName = 'target' | Operation;

export type LaneBreakers = Readonly<Record<BreakerName, Breaker>>;

const OPERATIONS: readonly Operation[] = ['put', 'delete'];
export const ALL_CLOSED: LaneBreakers = { target: CLOSED, put: CLOSED, delete: CLOSED };

export function isAnyOpen({ target, put, delete: deletes }: LaneBreakers): boolean {
  return target.state !== 'closed' || put.state !== 'closed' || deletes.state !== 'closed';
}

/** The breakers after an event of those that are named. */
export function withEvent(
  breakers: LaneBreakers,
  names: readonly BreakerName[],
  event: BreakerEvent,
): LaneBreakers {
  let next = breakers;
  for (const name of names) {
    const breaker = nextBreaker(next[name], event);
    if (breaker !== next[name]) next = { ...next, [name]: breaker };
  }
  return next;
}

export const BREAKER_NAMES: readonly BreakerName[] = ['target', ...OPERATIONS];

/** Those that a request of the operation would be a probe of; null where it may not be sent now. */
export function probedBy(
  breakers: LaneBreakers,
  operation: Operation,
  now: number,
): readonly BreakerName[] | null {
  const names = (['target', operation] as const).filter(
    (name) => breakers[name].state !== 'closed',
  );
  const areDue = names.every((name) => {
    const breaker = breakers[name];
    return breaker.state === 'open' && breaker.until <= now;
  });
  return areDue ? names : null;
}

/** The breakers after a request fell silent: what it probed is probed again in time. */
export function afterSilence(
  breakers: LaneBreakers,
  probed: readonly BreakerName[],
  { now, random }: { readonly now: number; readonly random: number },
): LaneBreakers {
  const operations = probed.filter((name) => name !== 'target');
  const unused = withEvent(breakers, operations, { type: 'probe-unused', now });
  const targets = probed.filter((name) => name === 'target');
  return withEvent(unused, targets, {
    type: 'failure',
    kind: 'connection',
    retryAfterMs: null,
    probe: true,
    now,
    random,
  });
}

/** Whether a row of that kind has a prospect of being sent at once. */
export function isPrompt(breakers: LaneBreakers, row: Pick<Row, 'operation'>): boolean {
  return breakers.target.state === 'closed' && breakers[operationOf(row)].state === 'closed';
}

export interface PlanInput {
  readonly breakers: LaneBreakers;
  readonly due: DueTimes;
  /** How many rows may be claimed where no breaker is in the way. */
  readonly limit: number;
  /** By the store's clock. */
  readonly now: number;
  readonly monotonicMs: number;
}

export type Plan =
  | { readonly kind: 'claim'; readonly request: ClaimRequest }
  /** Null: there is nothing to wait for but a commit or the end of a request. */
  | { readonly kind: 'wait'; readonly forMs: number | null };

/** What to claim next: a probe where one is due, else as much as may be sent. */
export function planClaim(input: PlanInput): Plan {
  const { breakers, due, limit, now, monotonicMs } = input;
  const isDue = (operation: Operation): boolean => (due[operation] ?? Infinity) <= now;
  const [probe, ...more] = OPERATIONS.filter((operation) => {
    const probed = probedBy(breakers, operation, monotonicMs);
    return isDue(operation) && probed !== null && probed.length > 0;
  });
  if (probe !== undefined) {
    // A probe of the target alone may be of either operation: the one that is due for longer.
    const operations = breakers.target.state === 'closed' ? [probe] : [probe, ...more];
    // Where only the target as a whole failed, one row tells as much as another.
    const untriedFirst = operations.some((operation) => breakers[operation].state !== 'closed');
    return { kind: 'claim', request: { limit: 1, now, operations, untriedFirst } };
  }
  const operations = OPERATIONS.filter(
    (operation) => isDue(operation) && probedBy(breakers, operation, monotonicMs)?.length === 0,
  );
  if (operations.length > 0 && limit > 0) {
    // Those that were refused are due for longer, and would open the breaker again.
    const untriedFirst = operations.some((operation) => isWary(breakers[operation]));
    return { kind: 'claim', request: { limit, now, operations, untriedFirst } };
  }
  return { kind: 'wait', forMs: waitMs(input) };
}

/** In how many milliseconds there is something to claim; Infinity where only something else changes that. */
export function nextClaimInMs(input: PlanInput): number {
  const plan = planClaim(input);
  return plan.kind === 'claim' ? 0 : (plan.forMs ?? Infinity);
}

function isWary(breaker: Breaker): boolean {
  return breaker.state === 'closed' && breaker.wariness > 0;
}

function waitMs({ breakers, due, now, monotonicMs }: PlanInput): number | null {
  const waits = OPERATIONS.flatMap((operation) => {
    const dueAt = due[operation];
    const held = [breakers.target, breakers[operation]];
    // Whatever ends a probe looks again.
    if (dueAt === null || held.some(({ state }) => state === 'probing')) return [];
    const untils = held.map((breaker) =>
      breaker.state === 'open' ? breaker.until - monotonicMs : 0,
    );
    return [Math.max(dueAt - now, ...untils)];
  });
  return waits.length === 0 ? null : Math.min(...waits);
}

/**
 * What people see: a target whose puts are refused is as good as open; refused deletes alone are said
 * beside.
 *
 * @param storeTimeAt the store's time of a monotonic one
 */
export function reportedBreakers(
  { target, put, delete: deletes }: LaneBreakers,
  storeTimeAt: (monotonicMs: number) => number,
): Pick<LaneReport, 'breaker' | 'retryAt'> & { readonly refused: readonly Degradation[] } {
  const shown = target.state === 'closed' ? put : target;
  return {
    breaker: shown.state,
    retryAt: shown.state === 'open' ? storeTimeAt(shown.until) : null,
    refused: deletes.state === 'closed' ? [] : ['deletes'],
  };
}
