/**
 * The `?replication` subresource of the host's S3 API (AWS: GetBucketReplication,
 * DeleteBucketReplication, PutBucketReplication), in S3's XML, errors included.
 */
import { XMLBuilder } from 'fast-xml-parser';
import type { Context } from 'koa';
import type { Bucket, Host, Plugin, Principal } from '../host.ts';
import { ApiError, transportError } from '../json-api/errors.ts';
import { replicationError } from '../model/errors.ts';
import type { ConfigurationStore } from '../model/ports.ts';
import type { Rule } from '../model/rule.ts';
import { auditRules } from './audit.ts';
import { assertSame } from './request.ts';

const NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/';
const METHODS = ['GET', 'PUT', 'DELETE'];

const xml = new XMLBuilder({ ignoreAttributes: false, attributeNamePrefix: '@' });

export function createBucketReplication(
  host: Pick<Host, 'logger' | 'withBucketLock'>,
  store: ConfigurationStore,
): Plugin['bucketReplication'] {
  return async function bucketReplication(ctx, bucket, principal) {
    try {
      await answer(ctx, bucket, principal);
    } catch (thrown) {
      const error = thrown instanceof ApiError ? thrown : transportError('InternalError');
      if (error.status >= 500 && error.code !== 'NotImplemented') {
        host.logger.error({ err: thrown }, '?replication failed');
      }
      sendError(ctx, error);
    }
  };

  async function answer(ctx: Context, bucket: Bucket, principal: Principal): Promise<void> {
    switch (ctx.method) {
      case 'GET': {
        const { rules } = await store.read(bucket);
        if (rules.length === 0) throw replicationError('ReplicationConfigurationNotFoundError');
        sendXml(ctx, 200, {
          ReplicationConfiguration: { '@xmlns': NAMESPACE, Rule: rules.map(describeRule) },
        });
        return;
      }
      case 'DELETE': {
        const change = await host.withBucketLock(bucket.name, (found) =>
          store.replaceRules(assertSame(found, bucket), [], { kind: 'any' }),
        );
        auditRules(host.logger, { requestId: s3RequestId(ctx), principal, bucket }, change);
        ctx.status = 204;
        return;
      }
      case 'PUT':
        throw replicationError('NotImplemented');
      default:
        ctx.set('Allow', METHODS.join(', '));
        throw replicationError('MethodNotAllowed');
    }
  }
}

/** The first rule of the list has the highest priority. */
function describeRule(rule: Rule, index: number, all: readonly Rule[]): object {
  return {
    ID: rule.id,
    Priority: all.length - index,
    Filter: { Prefix: rule.prefix },
    Status: status(rule.enabled),
    ExistingObjectReplication: { Status: status(rule.replicateExisting) },
    DeleteMarkerReplication: { Status: status(rule.replicateDeletes) },
    Destination: { Bucket: `arn:alarik:replication:::${rule.targetId}` },
  };
}

function status(on: boolean): 'Enabled' | 'Disabled' {
  return on ? 'Enabled' : 'Disabled';
}

/** The id that the host gave the answer; empty where it gave none. */
function s3RequestId(ctx: Context): string {
  return String(ctx.res.getHeader('x-amz-request-id') ?? '');
}

function sendError(ctx: Context, error: ApiError): void {
  sendXml(ctx, error.status, {
    Error: {
      Code: error.code,
      Message: error.message,
      Resource: ctx.path,
      RequestId: s3RequestId(ctx),
    },
  });
}

function sendXml(ctx: Context, statusCode: number, document: object): void {
  ctx.status = statusCode;
  ctx.type = 'application/xml';
  ctx.body = `<?xml version="1.0" encoding="UTF-8"?>\n${String(xml.build(document))}`;
}
