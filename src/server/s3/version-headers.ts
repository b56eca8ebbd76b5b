/**
 * Headers that tell which version an answer is about.
 */
import type { Bucket } from '../../host.ts';
import type { DeleteResult, StoredHead } from '../objects/types.ts';
import type { S3Services } from './operation.ts';

/** `x-amz-version-id`, where the bucket keeps or kept versions. */
export function versionHeader(
  bucket: Bucket,
  versionId: string | undefined,
  name = 'x-amz-version-id',
): Record<string, string> {
  if (bucket.versioning === 'Disabled' || versionId === undefined) return {};
  return { [name]: versionId };
}

export function deletionHeaders(bucket: Bucket, result: DeleteResult): Record<string, string> {
  return {
    ...versionHeader(bucket, result.versionId),
    ...(result.deleteMarker && { 'x-amz-delete-marker': 'true' }),
  };
}

/** `x-amz-replication-status`, for replicas and for versions that a rule replicated. */
export async function replicationHeader(
  services: S3Services,
  bucket: Bucket,
  { key, versionId, replica, replicates }: StoredHead,
): Promise<Record<string, string>> {
  if (replica) return { 'x-amz-replication-status': 'REPLICA' };
  if (!replicates) return {};
  const status = await services.plugin?.replicationStatus?.({ bucket, key, versionId });
  return status === undefined ? {} : { 'x-amz-replication-status': status };
}
