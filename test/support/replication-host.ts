/** The tiny host for one test: a directory of its own, a bucket `photos`, all gone when the test ends. */
import { inspect } from 'node:util';
import {
  startKoaHost,
  type Answer,
  type KoaHost,
  type KoaHostOptions,
  type RequestOptions,
} from './koa-host.ts';
import {
  rulesPath,
  targetsPath,
  type RuleFields,
  type TargetFields,
} from './replication-bodies.ts';
import type { ErrorDetail } from '../../src/json-api/errors.ts';
import { temporaryDirectory } from './temporary-directory.ts';

interface Cleanup {
  after(cleanup: () => void | Promise<void>): void;
}

type Four<T> = readonly [T, T, T, T];

/**
 * The fields of all answers of targets and rules. A test that reads one says with it which answer it
 * expects, so none is marked as perhaps absent, and lists are typed as full.
 */
export interface AnswerFields {
  readonly targets: Four<TargetFields>;
  readonly rules: Four<Required<RuleFields>>;
  readonly error: boolean;
  readonly reason: string;
  readonly code: string;
  readonly details: readonly [ErrorDetail, ...ErrorDetail[]];
}

export interface ReplicationAnswer extends Answer {
  readonly json: AnswerFields;
}

type Send = (options?: RequestOptions) => Promise<ReplicationAnswer>;
type SendList = (list: readonly unknown[], options?: RequestOptions) => Promise<ReplicationAnswer>;

export interface ReplicationHost extends KoaHost {
  readonly dataDirectory: string;
  request(method: string, path: string, options?: RequestOptions): Promise<ReplicationAnswer>;
  readonly getTargets: Send;
  readonly putTargets: SendList;
  readonly getRules: Send;
  readonly putRules: SendList;
  /** Every log line in full, nested errors and their causes included. */
  logText(): string;
  /** The audit lines so far. */
  audits(): readonly Record<string, unknown>[];
}

/** The entity tag of an answer; the empty text where it has none. */
export function etagOf({ headers }: Answer): string {
  return headers.get('etag') ?? '';
}

/**
 * @param t the test's context, or anything with `after`
 * @param options `dataDirectory` and `buckets` of another host to continue where it stopped
 */
export async function startReplicationHost(
  t: Cleanup,
  options: Partial<KoaHostOptions> = {},
): Promise<ReplicationHost> {
  const dataDirectory = options.dataDirectory ?? temporaryDirectory(t);
  const koa = await startKoaHost({ ...options, dataDirectory });
  t.after(() => koa.close());
  if (!koa.buckets.has('photos')) koa.addBucket('photos');
  const targets = targetsPath('photos');
  const rules = rulesPath('photos');
  return {
    ...koa,
    dataDirectory,
    getTargets: (request) => koa.request('GET', targets, request),
    putTargets: (list, request) =>
      koa.request('PUT', targets, { body: { targets: list }, ...request }),
    getRules: (request) => koa.request('GET', rules, request),
    putRules: (list, request) => koa.request('PUT', rules, { body: { rules: list }, ...request }),
    logText: () =>
      koa.logs.map((line) => inspect(line, { depth: null, showHidden: true })).join('\n'),
    audits: () => koa.logs.filter((line) => 'audit' in line),
  };
}
