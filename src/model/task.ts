/** Tasks: rows of the outbox as the admin API shows them. */
import type { Configuration } from './configuration.ts';
import type { StoreClock } from './ports.ts';
import type { Row, RowState } from './row.ts';
import type { Rule } from './rule.ts';

/** Times are ISO 8601 with milliseconds. */
export interface TaskAnswer {
  readonly id: string;
  /** The first of the rules that it is queued for. */
  readonly ruleId: string;
  readonly targetId: string;
  /** Null where the target was removed. */
  readonly endpoint: string | null;
  readonly key: string;
  /** Null for a delete that left no version, and for whatever is current at delivery. */
  readonly versionId: string | null;
  readonly operation: 'put' | 'delete';
  readonly state: RowState;
  readonly attempts: number;
  readonly nextAttemptAt: string;
  readonly lastError: string | null;
  readonly createdAt: string;
}

/** The rules of the list that the row is queued for, in the owner's order. */
export function rulesOf(row: Pick<Row, 'ruleset'>, configuration: Configuration): readonly Rule[] {
  return configuration.rules.filter((rule) => row.ruleset.includes(rule.incarnation));
}

/** Null for a row none of whose rules is left. A row of a removed target is shown as failed. */
export function answerTask(
  row: Row,
  configuration: Configuration,
  clock: StoreClock,
): TaskAnswer | null {
  const [rule] = rulesOf(row, configuration);
  if (rule === undefined) return null;
  const target = configuration.targets.find(({ id }) => id === row.lane.targetId);
  return {
    id: String(row.sequence),
    ruleId: rule.id,
    targetId: row.lane.targetId,
    endpoint: target?.endpoint ?? null,
    key: row.key,
    versionId: row.versionId,
    operation: row.operation === 'delete' ? 'delete' : 'put',
    state: target === undefined ? 'failed' : row.state,
    attempts: row.attempts,
    nextAttemptAt: formatTime(clock.wallOf(row.nextAttemptAt)),
    lastError: target === undefined ? 'The target was removed.' : (row.lastError?.reason ?? null),
    createdAt: formatTime(clock.wallOf(row.createdAt)),
  };
}

/** @param time milliseconds since the epoch, by the wall clock */
export function formatTime(time: number): string {
  return new Date(time).toISOString();
}
