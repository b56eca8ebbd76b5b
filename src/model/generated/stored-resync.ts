/** Generated from schemas/stored-resync.schema.json by "npm run types"; do not edit. */

/**
 * A record of the database "resyncs": the last run of one rule's resync. Its key is [bucket id, rule id].
 */
export interface StoredResync {
  /**
   * The environment's sequence when it began: events dropped after that are not covered.
   */
  run: number;
  /**
   * The bucket's name when it began.
   */
  bucketName: string;
  /**
   * The rule's incarnation.
   */
  incarnation: number;
  /**
   * Only a running job moves.
   */
  state: 'running' | 'completed' | 'cancelled';
  /**
   * The last key looked at; null at the beginning.
   */
  cursor: string | null;
  /**
   * Keys looked at.
   */
  scanned: number;
  /**
   * Keys queued.
   */
  enqueued: number;
  /**
   * Milliseconds since the epoch.
   */
  startedAt: number;
  /**
   * Milliseconds since the epoch; null while it runs.
   */
  finishedAt: number | null;
}
