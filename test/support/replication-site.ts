/**
 * A real server with the real plugin (from dist/ unless told otherwise), one of the two ends of a
 * replication, and the calls of its admin API that suites make.
 *
 * The administrator's access key is the same at every start, so that a site that was killed can be
 * started again in its directory and go on under its old account.
 */
import assert from 'node:assert/strict';
import type { AwsAccount } from './aws-cli.ts';
import { sendRequest, type Answer } from './koa-host.ts';
import { ruleBody, targetBody, type RuleFields, type TargetFields } from './replication-bodies.ts';
import { logIn, REPLICATION_PLUGIN, startServer, type ServerProcess } from './server-process.ts';
import { until } from './until.ts';

export interface Site {
  readonly account: AwsAccount;
  readonly token: string;
  readonly process: ServerProcess;
}

export interface SiteOptions {
  readonly dataDirectory: string;
  /** Lower-case letters; part of the account's access key. */
  readonly name: string;
  readonly region: string;
  /** The manifest of another plugin. */
  readonly plugin?: string;
  /** Further arguments of `serve`. */
  readonly args?: readonly string[];
  /** Options of `node` itself. */
  readonly nodeOptions?: readonly string[];
  /** Of the process, besides what the site itself needs. */
  readonly environment?: Readonly<Record<string, string>>;
}

export interface Link {
  readonly targetId: string;
  readonly ruleId: string;
}

/** What `GET /status` tells of a target, as far as suites look at it. */
export interface TargetStatus {
  readonly targetId: string;
  readonly queued: number;
  readonly failed: number;
  readonly state: string;
  readonly lastError: string | null;
  readonly degraded: readonly string[];
}

export async function startSite(options: SiteOptions): Promise<Site> {
  const {
    dataDirectory,
    name,
    region,
    plugin = REPLICATION_PLUGIN,
    environment = {},
    args = [],
  } = options;
  const { nodeOptions = [] } = options;
  const accessKeyId = `AKIA${name.toUpperCase()}SUITE`;
  const secretAccessKey = `secret-of-site-${name}-0123456789`;
  const process = await startServer({
    dataDirectory,
    plugin,
    args,
    nodeOptions,
    environment: {
      ...environment,
      ALARIK_REGION: region,
      DEFAULT_ACCESS_KEY: accessKeyId,
      DEFAULT_SECRET_KEY: secretAccessKey,
    },
  });
  const account = { url: process.url, region, accessKeyId, secretAccessKey };
  return { account, process, token: await logIn(process.url) };
}

/** @param path what follows `/api/v1/buckets/` */
export async function admin(
  site: Site,
  method: string,
  path: string,
  body?: unknown,
): Promise<Answer> {
  return sendRequest(site.account.url, method, `/api/v1/buckets/${path}`, {
    token: site.token,
    ...(body === undefined ? {} : { body }),
  });
}

/** A new target: the bucket at another service, with the credentials that are right there. */
export function targetAt(destination: AwsAccount, bucket: string): TargetFields {
  const { url: endpoint, region, accessKeyId, secretAccessKey } = destination;
  return targetBody({ endpoint, targetBucket: bucket, region, accessKeyId, secretAccessKey });
}

/** Replicates `bucket` to the bucket of that name at the destination, without its deletes. */
export async function replicate(
  site: Site,
  destination: AwsAccount,
  bucket: string,
  target: Partial<TargetFields> = {},
  rule: Partial<RuleFields> = {},
): Promise<Link> {
  const targetId = await putTarget(site, bucket, { ...targetAt(destination, bucket), ...target });
  const answer = await admin(site, 'PUT', `${bucket}/replication/rules`, {
    rules: [ruleBody({ targetId, replicateDeletes: false, ...rule })],
  });
  assert.equal(answer.status, 200, answer.text);
  const { rules } = answer.json as { readonly rules: readonly RuleFields[] };
  return { targetId, ruleId: rules[0]!.id };
}

/** Makes it the bucket's only target and returns its id. */
export async function putTarget(site: Site, bucket: string, target: TargetFields): Promise<string> {
  const path = `${bucket}/replication/targets`;
  const answer = await admin(site, 'PUT', path, { targets: [target] });
  assert.equal(answer.status, 200, answer.text);
  const { targets } = answer.json as { readonly targets: readonly TargetFields[] };
  return targets[0]!.id;
}

/** The status of the bucket's first target. */
export async function targetStatus(site: Site, bucket: string): Promise<TargetStatus> {
  const answer = await admin(site, 'GET', `${bucket}/replication/status`);
  assert.equal(answer.status, 200, answer.text);
  const { targets } = answer.json as { readonly targets: readonly TargetStatus[] };
  return targets[0]!;
}

/** Waits until the target's failure can be read in its status. */
export async function failureShows(
  site: Site,
  bucket: string,
  sentence: RegExp,
  timeoutMs: number,
): Promise<TargetStatus> {
  let seen: TargetStatus | undefined;
  try {
    return await until(
      async () => {
        seen = await targetStatus(site, bucket);
        return sentence.test(String(seen.lastError)) && seen;
      },
      `${sentence} in the status of ${bucket}`,
      timeoutMs,
    );
  } catch (error) {
    throw new Error(`The status is ${JSON.stringify(seen)}.`, { cause: error });
  }
}

/** Waits until nothing is queued for the bucket's first target. */
export async function drained(site: Site, bucket: string, timeoutMs: number): Promise<void> {
  await until(
    async () => (await targetStatus(site, bucket)).queued === 0,
    `the queue of ${bucket} to drain`,
    timeoutMs,
  );
}
