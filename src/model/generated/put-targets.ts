/** Generated from schemas/put-targets.schema.json by "npm run types"; do not edit. */

/**
 * The body of PUT /targets: the bucket's whole list of targets. Properties that are not named here are ignored.
 */
export interface PutTargets {
  /**
   * The targets, at most 4; an empty list removes all.
   *
   * @maxItems 4
   */
  targets: TargetInput[];
}
/**
 * One remote S3 service and a bucket there.
 */
export interface TargetInput {
  /**
   * The target's UUID within its bucket; all zeros for a new target, which gets an id from the server.
   */
  id: string;
  /**
   * Base URL of the service: http or https, a host, optionally a port and a path.
   */
  endpoint: string;
  /**
   * Name of the destination bucket on the service.
   */
  targetBucket: string;
  /**
   * Access key id that requests to the service are signed with.
   */
  accessKeyId: string;
  /**
   * Secret access key that requests to the service are signed with, or the mask that answers carry in its place, which keeps the stored one.
   */
  secretAccessKey: string;
  /**
   * Region that requests are signed for; the service's own.
   */
  region: string;
  /**
   * Whether objects are delivered to the target now.
   */
  enabled: boolean;
}
