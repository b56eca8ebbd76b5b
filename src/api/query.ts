/** Query parameters of the admin API, checked as strictly as bodies. */
import type { RowState } from '../model/row.ts';
import type { Context } from 'koa';
import type { ErrorDetail } from '../json-api/errors.ts';
import { invalidRequest, type Configuration } from '../model/configuration.ts';

const SEQUENCE = /^(?:0|[1-9][0-9]{0,14})$/;

/** The parameter's value; undefined where it is absent. @throws ApiError InvalidRequest where it is repeated */
function single(ctx: Context, name: string): string | undefined {
  const value = ctx.query[name];
  if (Array.isArray(value)) throw invalidParameter(name, 'must be given once');
  return value;
}

/** @throws ApiError InvalidRequest */
export function stateParameter(ctx: Context): RowState | undefined {
  const value = single(ctx, 'state');
  if (value === undefined || value === 'pending' || value === 'verifying' || value === 'failed')
    return value;
  throw invalidParameter('state', 'must be pending, verifying or failed');
}

/** @throws ApiError InvalidRequest */
export function integerParameter(
  ctx: Context,
  name: string,
  range: { min: number; max: number },
): number | undefined {
  const value = single(ctx, name);
  if (value === undefined) return undefined;
  const number = parseSequence(value);
  if (number === null || number < range.min || number > range.max) {
    throw invalidParameter(name, `must be a whole number from ${range.min} to ${range.max}`);
  }
  return number;
}

/** The incarnation of the rule that `?ruleId` names. @throws ApiError InvalidRequest */
export function ruleParameter(ctx: Context, configuration: Configuration): number | undefined {
  const value = single(ctx, 'ruleId')?.toLowerCase();
  if (value === undefined) return undefined;
  const rule = configuration.rules.find(({ id }) => id === value);
  if (rule === undefined)
    throw invalidParameter('ruleId', 'must be the id of a rule of this bucket');
  return rule.incarnation;
}

/** A task's id as a number; null where no task can have it. */
export function parseSequence(text: string): number | null {
  return SEQUENCE.test(text) ? Number(text) : null;
}

function invalidParameter(name: string, message: string): Error {
  const detail: ErrorDetail = { path: `?${name}`, message };
  return invalidRequest([detail]);
}
