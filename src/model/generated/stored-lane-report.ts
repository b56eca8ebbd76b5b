/** Generated from schemas/stored-lane-report.schema.json by "npm run types"; do not edit. */

/**
 * A record of the database "lane-reports": what the lane of one target shows. Its key is [bucket id, target id].
 */
export interface StoredLaneReport {
  /**
   * The environment's sequence when the lane was last wanted to try anew; 0: never.
   */
  retryMark: number;
  /**
   * Whether requests are sent: all, none, or one probe.
   */
  breaker: 'closed' | 'open' | 'probing';
  /**
   * When the next probe is due, milliseconds since the epoch; null unless the breaker is open.
   */
  retryAt: number | null;
  /**
   * Whether requests wait for a first connection.
   */
  connecting: boolean;
  /**
   * What users see of the last failed request; null since the last success.
   */
  lastError: StoredError | null;
  /**
   * What the target refuses and objects are delivered without.
   *
   * @maxItems 2
   */
  degraded: ('tags' | 'deletes')[];
}
/**
 * A failed request.
 */
export interface StoredError {
  /**
   * One sentence; no address, no secret.
   */
  reason: string;
  /**
   * HTTP status.
   */
  status?: number;
  /**
   * S3 or socket error code.
   */
  code?: string;
  /**
   * The target's id of the request.
   */
  requestId?: string;
}
