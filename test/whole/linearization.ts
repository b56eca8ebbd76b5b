/**
 * Whether the answers to concurrent requests, some cut off by a kill, fit some serial order of them
 * (linearizability: Herlihy and Wing, 1990).
 *
 * A request takes effect between its start and its answer. One without an answer takes effect at any
 * time after its start, wholly, or never. What is read after the restart must follow from all that.
 */
import type { ClientAnswer } from '../support/keep-alive-client.ts';
import { expect, observe, type ModelRequest, type ModelState } from './configuration-model.ts';

export interface Exchange {
  readonly request: ModelRequest;
  readonly startedAt: number;
  /** Null: the connection broke before a complete answer. */
  readonly answer: ClientAnswer | null;
  /** Infinity where there is no answer. */
  readonly answeredAt: number;
}

/**
 * @param clients the exchanges of each client, one after the other; only the last may lack an answer
 * @param readings what was read afterwards, in that order, all answered
 * @returns the state after the readings, or null where no order explains the answers
 */
export function findOrder(
  initial: ModelState,
  clients: readonly (readonly Exchange[])[],
  readings: readonly Exchange[],
): { state: ModelState } | null {
  const seen = new Set<string>();

  const search = (state: ModelState, done: readonly number[]): { state: ModelState } | null => {
    const key = JSON.stringify([done, state]);
    if (seen.has(key)) return null;
    seen.add(key);
    const heads = clients.map((exchanges, client) => exchanges[done[client]!]);
    if (heads.every((head) => head === undefined || head.answer === null)) {
      const end = follow(state, readings);
      if (end !== null) return end;
    }
    const firstEnd = Math.min(...heads.map((head) => head?.answeredAt ?? Infinity));
    for (const [client, head] of heads.entries()) {
      if (head === undefined || head.startedAt > firstEnd) continue;
      const after = step(state, head);
      const rest = done.map((count, index) => (index === client ? count + 1 : count));
      const found = after === null ? null : search(after.state, rest);
      if (found !== null) return found;
    }
    return null;
  };

  return search(
    initial,
    clients.map(() => 0),
  );
}

function follow(state: ModelState, exchanges: readonly Exchange[]): { state: ModelState } | null {
  let current = { state };
  for (const exchange of exchanges) {
    const after = step(current.state, exchange);
    if (after === null) return null;
    current = after;
  }
  return current;
}

function step(
  state: ModelState,
  { request, answer }: Exchange,
): { readonly state: ModelState } | null {
  const expected = expect(state, request);
  if (answer === null) return { state: expected.next };
  const observed = observe(expected, answer);
  return typeof observed === 'string' ? null : observed;
}
