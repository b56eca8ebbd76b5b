/**
 * The rules for the fields of a target and of a rule, written apart from the schemas. Only values
 * that the random requests can hold are told apart.
 */
import { MASK } from '../support/replication-bodies.ts';
import { originOf } from './known-endpoints.ts';

type Check = (value: unknown) => boolean;
type Body = Readonly<Record<string, unknown>>;

const NIL = '00000000-0000-0000-0000-000000000000';
const LIST_MAX = 4;
const PREFIX_BYTES_MAX = 1024;

const isText =
  (pattern: RegExp): Check =>
  (value) =>
    typeof value === 'string' && pattern.test(value);
const isUuid = isText(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i);
const isBoolean: Check = (value) => typeof value === 'boolean';
const isPrefix: Check = (value) =>
  value === undefined ||
  value === null ||
  (typeof value === 'string' && Buffer.byteLength(value) <= PREFIX_BYTES_MAX);

const targetFields: Readonly<Record<string, Check>> = {
  id: isUuid,
  endpoint: (value) => typeof value === 'string' && originOf(value) !== undefined,
  targetBucket: (value) =>
    isText(/^[A-Za-z0-9._-]{1,255}$/)(value) && !/^\.\.?$/.test(String(value)),
  accessKeyId: (value) => isText(/^[!-~]{1,128}$/)(value) && !/[/,="]/.test(String(value)),
  secretAccessKey: (value) => value === MASK || isText(/^[!-~]{1,1024}$/)(value),
  region: isText(/^[A-Za-z0-9._-]{1,64}$/),
  enabled: isBoolean,
};

const ruleFields: Readonly<Record<string, Check>> = {
  id: isUuid,
  targetId: isUuid,
  prefix: isPrefix,
  replicateDeletes: isBoolean,
  replicateExisting: isBoolean,
  synchronous: (value) => value === undefined || isBoolean(value),
  enabled: isBoolean,
};

/** What is wrong with the list by itself, whatever is stored; null where nothing is. */
export function findFlaw(kind: 'putTargets' | 'putRules', list: readonly Body[]): string | null {
  if (list.length > LIST_MAX) return 'too many';
  const fields = kind === 'putTargets' ? targetFields : ruleFields;
  for (const body of list) {
    for (const [name, fits] of Object.entries(fields)) if (!fits(body[name])) return name;
    if (body['id'] === NIL && body['secretAccessKey'] === MASK) return 'the mask of a new target';
  }
  const ids = list.map((body) => String(body['id']).toLowerCase()).filter((id) => id !== NIL);
  return new Set(ids).size < ids.length ? 'an id twice' : null;
}
