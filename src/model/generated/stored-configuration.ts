/** Generated from schemas/stored-configuration.schema.json by "npm run types"; do not edit. */

/**
 * A record of the database "configurations": what one bucket's owner has set. Its key is the bucket's name.
 */
export interface StoredConfiguration {
  /**
   * The bucket's immutable id; a record of another id than the live bucket's is treated as absent.
   */
  bucketId: string;
  /**
   * How often this bucket's configuration was changed, and eight random hex digits of the last change; in quotes it is the ETag. It says nothing of other buckets, and a bucket that is made again never repeats one.
   */
  revision: string;
  /**
   * In the order in which the owner listed them.
   *
   * @maxItems 4
   */
  targets: StoredTarget[];
  /**
   * In the order in which the owner listed them; an enabled rule's target is always in targets.
   *
   * @maxItems 4
   */
  rules: StoredRule[];
}
/**
 * A target as it is kept.
 */
export interface StoredTarget {
  /**
   * UUID in lower case.
   */
  id: string;
  /**
   * Exactly as it was sent.
   */
  endpoint: string;
  /**
   * Destination bucket.
   */
  targetBucket: string;
  /**
   * Signs requests.
   */
  accessKeyId: string;
  secret: SealedSecret;
  /**
   * Signs requests.
   */
  region: string;
  /**
   * False is a pause.
   */
  enabled: boolean;
  /**
   * Kinds of non-public address that an administrator's save found, and that connections may therefore reach; empty after anybody else's save.
   */
  exemptKinds: string[];
}
/**
 * The secret access key, sealed with AES-256-GCM; the additional data is where it is kept and where it may go: bucket id, target id, the endpoint's origin, the access key id and the exempt kinds.
 */
export interface SealedSecret {
  /**
   * Which key sealed it.
   */
  keyId: string;
  /**
   * Nonce (12 bytes), tag (16 bytes) and ciphertext, as bytes.
   */
  box: Uint8Array;
}
/**
 * A rule as it is kept.
 */
export interface StoredRule {
  /**
   * UUID in lower case.
   */
  id: string;
  /**
   * A number that no other saved rule has; a rule that leaves the list and comes back under its old id gets a new one.
   */
  incarnation: number;
  /**
   * UUID in lower case.
   */
  targetId: string;
  /**
   * Empty is the whole bucket.
   */
  prefix: string;
  /**
   * As sent.
   */
  replicateDeletes: boolean;
  /**
   * As sent.
   */
  replicateExisting: boolean;
  /**
   * As sent, or false.
   */
  synchronous: boolean;
  /**
   * As sent, or false since its target was removed.
   */
  enabled: boolean;
}
