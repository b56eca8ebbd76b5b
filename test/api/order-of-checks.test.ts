/**
 * The order of checks, which decides what a caller learns: 401, 400 without a bucket's name, 404, 413,
 * 415, 400 malformed, 400 not valid, 403, 412. Each request here breaks two neighbouring rules, and
 * the earlier one answers. The same table shows that each rule alone gives its own answer.
 */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { OTHER, type RequestOptions } from '../support/koa-host.ts';
import {
  MASK,
  NEW_ID,
  rulesPath,
  ruleBody,
  targetBody,
  targetsPath,
} from '../support/replication-bodies.ts';
import { startReplicationHost } from '../support/replication-host.ts';

interface Case extends RequestOptions {
  readonly name: string;
  readonly path?: string;
  readonly status: number;
  readonly code: string;
}

const path = targetsPath('photos');
const nameless = '/api/v1/buckets//replication/targets';
const missing = targetsPath('missing');
const tooLarge = 'x'.repeat(1024 * 1024 + 1);
const text = { 'content-type': 'text/plain' };
const stale = { 'if-match': '"999"' };
const invalid = { targets: [targetBody({ endpoint: 'http://10.0.0.1', region: '' })] };
const notAllowed = { targets: [targetBody({ endpoint: 'http://10.0.0.1' })] };
const masked = {
  targets: [targetBody({ endpoint: 'http://10.0.0.1', secretAccessKey: MASK })],
};
const valid = { targets: [targetBody()] };

const pairs: readonly Case[] = [
  {
    name: '401 before 400 nameless',
    token: null,
    path: nameless,
    status: 401,
    code: 'Unauthenticated',
  },
  { name: '401 before 404', token: null, path: missing, status: 401, code: 'Unauthenticated' },
  {
    name: '401 before 413',
    token: 'unknown',
    body: tooLarge,
    status: 401,
    code: 'Unauthenticated',
  },
  {
    name: '400 nameless before 413',
    path: nameless,
    body: tooLarge,
    status: 400,
    code: 'MissingBucketName',
  },
  { name: '404 before 413', path: missing, body: tooLarge, status: 404, code: 'NoSuchBucket' },
  {
    name: '404 of another owner before 413',
    token: OTHER,
    body: tooLarge,
    status: 404,
    code: 'NoSuchBucket',
  },
  {
    name: '404 before 415',
    path: missing,
    headers: text,
    body: '{}',
    status: 404,
    code: 'NoSuchBucket',
  },
  { name: '413 before 415', headers: text, body: tooLarge, status: 413, code: 'EntityTooLarge' },
  { name: '413 before 400 malformed', body: tooLarge, status: 413, code: 'EntityTooLarge' },
  {
    name: '415 before 400 malformed',
    headers: text,
    body: '{',
    status: 415,
    code: 'UnsupportedMediaType',
  },
  {
    name: '400 malformed before 412',
    headers: stale,
    body: '{"targets":[',
    status: 400,
    code: 'MalformedJSON',
  },
  { name: '400 not valid before 403', body: invalid, status: 400, code: 'InvalidRequest' },
  {
    name: '400 not valid before 412',
    headers: stale,
    body: invalid,
    status: 400,
    code: 'InvalidRequest',
  },
  {
    name: '400 precondition before 403',
    headers: { 'if-match': '17' },
    body: notAllowed,
    status: 400,
    code: 'InvalidPrecondition',
  },
  {
    name: '403 before 412',
    headers: stale,
    body: notAllowed,
    status: 403,
    code: 'EndpointNotAllowed',
  },
  {
    name: '412 before the save',
    headers: stale,
    body: valid,
    status: 412,
    code: 'PreconditionFailed',
  },
];

const newTargetMasked: Case = {
  name: '400 mask of a new target before 403 and 412',
  headers: stale,
  body: masked,
  status: 400,
  code: 'InvalidRequest',
};

const alone: readonly Case[] = [
  { name: '401', token: null, status: 401, code: 'Unauthenticated', body: valid },
  { name: '400 nameless', path: nameless, status: 400, code: 'MissingBucketName', body: valid },
  { name: '404', path: missing, status: 404, code: 'NoSuchBucket', body: valid },
  { name: '413', body: tooLarge, status: 413, code: 'EntityTooLarge' },
  { name: '415', headers: text, body: '{"targets":[]}', status: 415, code: 'UnsupportedMediaType' },
  { name: '400 malformed', body: '{', status: 400, code: 'MalformedJSON' },
  { name: '400 not valid', body: { targets: [{}] }, status: 400, code: 'InvalidRequest' },
  { name: '403', body: notAllowed, status: 403, code: 'EndpointNotAllowed' },
];

const rules: readonly Case[] = [
  {
    name: '400 not valid before 400 versioning',
    path: rulesPath('plain'),
    body: { rules: [{}] },
    status: 400,
    code: 'InvalidRequest',
  },
  {
    name: '400 versioning before 412',
    path: rulesPath('plain'),
    headers: stale,
    body: { rules: [ruleBody({ targetId: NEW_ID })] },
    status: 400,
    code: 'VersioningNotEnabled',
  },
  {
    name: '412 before 400 unknown target',
    path: rulesPath('photos'),
    headers: stale,
    body: { rules: [ruleBody({ targetId: NEW_ID })] },
    status: 412,
    code: 'PreconditionFailed',
  },
];

const host = await startReplicationHost({ after });
host.addBucket('plain', 'owner', 'Suspended');

describe('order of checks', () => {
  for (const { name, status, code, ...request } of [
    ...pairs,
    newTargetMasked,
    ...alone,
    ...rules,
  ]) {
    it(name, async () => {
      const answer = await host.request('PUT', request.path ?? path, request);
      assert.deepEqual([answer.status, answer.json.code], [status, code]);
      assert.equal((await host.getTargets()).text, '{"targets":[]}');
    });
  }
});
