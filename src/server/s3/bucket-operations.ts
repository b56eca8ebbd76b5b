/**
 * Operations on buckets themselves: list, create, head, delete, location, versioning, replication.
 */
import { answerEmpty, answerHead, answerXml } from './answers.ts';
import { documentBody } from './body.ts';
import { S3Error } from './errors.ts';
import { refuseUnsupportedHeaders } from './object-headers.ts';
import { ownBucket, type Operation } from './operation.ts';
import { childText, document, element, escapeText, field } from './xml.ts';
import { readDocument } from './xml-reader.ts';

const DOCUMENT_BYTES_MAX = 64 * 1024;
/** Where AWS answers an empty location. */
const DEFAULT_REGION = 'us-east-1';

export const listBuckets: Operation = async ({ ctx, identity, target }, { buckets }) => {
  const prefix = target.query.get('prefix') ?? '';
  const own = buckets.list(identity.userId).filter(({ name }) => name.startsWith(prefix));
  const entries = own.map(({ name, createdAt }) =>
    element(
      'Bucket',
      field('Name', name),
      field('CreationDate', new Date(createdAt).toISOString()),
    ),
  );
  const owner = element('Owner', field('ID', identity.userId));
  await answerXml(ctx, document('ListAllMyBucketsResult', owner, element('Buckets', ...entries)));
};

export const createBucket: Operation = async (request, { lifecycle, region }) => {
  const { ctx, headers, identity, target } = request;
  refuseUnsupportedHeaders(headers);
  const body = await documentBody(request, DOCUMENT_BYTES_MAX);
  const location = body.length === 0 ? undefined : readLocation(body);
  if (location !== undefined && location !== '' && location !== region) {
    throw new S3Error('IllegalLocationConstraintException');
  }
  await lifecycle.create({
    name: target.bucket,
    ownerId: identity.userId,
    versioningEnabled: false,
  });
  ctx.set('Location', `/${target.bucket}`);
  await answerEmpty(ctx, 200);
};

export const headBucket: Operation = async (request, services) => {
  request.ctx.set('x-amz-bucket-region', services.region);
  ownBucket(request, services);
  await answerHead(request.ctx, 200);
};

export const deleteBucket: Operation = async (request, services) => {
  const { name } = ownBucket(request, services);
  await services.lifecycle.remove(name, request.identity.userId);
  await answerEmpty(request.ctx, 204);
};

export const getBucketLocation: Operation = async (request, services) => {
  ownBucket(request, services);
  const { region } = services;
  const location = region === DEFAULT_REGION ? '' : escapeText(region);
  await answerXml(request.ctx, document('LocationConstraint', location));
};

export const getBucketVersioning: Operation = async (request, services) => {
  const { versioning } = ownBucket(request, services);
  const status = versioning === 'Disabled' ? undefined : versioning;
  await answerXml(request.ctx, document('VersioningConfiguration', field('Status', status)));
};

export const putBucketVersioning: Operation = async (request, services) => {
  const { name } = ownBucket(request, services);
  const body = await documentBody(request, DOCUMENT_BYTES_MAX);
  const root = readDocument(body, 'VersioningConfiguration');
  const mfaDelete = childText(root, 'MfaDelete') ?? 'Disabled';
  if (mfaDelete !== 'Disabled' || 'x-amz-mfa' in request.headers) {
    throw new S3Error('NotImplemented', { message: 'MFA Delete is not supported.' });
  }
  const status = childText(root, 'Status');
  if (status !== 'Enabled' && status !== 'Suspended') {
    throw new S3Error('MalformedXML', { message: 'Status must be Enabled or Suspended.' });
  }
  await services.lifecycle.setVersioning(name, request.identity.userId, status);
  await answerEmpty(request.ctx, 200);
};

/** `?replication` belongs to the plugin, errors included; the body is read here, within limits. */
export const bucketReplication: Operation = async (request, services) => {
  const bucket = ownBucket(request, services);
  const principal = services.principalOf(request.identity.userId);
  if (services.plugin === undefined || principal === null) throw new S3Error('NotImplemented');
  await documentBody(request, DOCUMENT_BYTES_MAX);
  await services.plugin.bucketReplication(request.ctx, bucket, principal);
};

function readLocation(body: Buffer): string | undefined {
  const root = readDocument(body, 'CreateBucketConfiguration');
  return childText(root, 'LocationConstraint')?.trim();
}
