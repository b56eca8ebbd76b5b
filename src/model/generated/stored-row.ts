/** Generated from schemas/stored-row.schema.json by "npm run types"; do not edit. */

/**
 * A record of the database "rows": one event for one target. Its key is the row's sequence.
 */
export interface StoredRow {
  /**
   * The number of its lane; the database "lane-owners" says whose that is.
   */
  lane: number;
  /**
   * Incarnations of the rules that it is queued for, ascending.
   */
  ruleset: number[];
  /**
   * The object's key.
   */
  key: string;
  /**
   * What happened; resolve delivers whatever is current when it is claimed.
   */
  operation: 'put' | 'delete' | 'resolve';
  /**
   * The version to deliver; null for deletes that left none, and for resolve.
   */
  versionId: string | null;
  /**
   * The host's order of the event; 2^48 - 1 for resolve.
   */
  order: number;
  /**
   * Whether it is still to be delivered, only looks for late requests, or was given up.
   */
  state: 'pending' | 'verifying' | 'failed';
  /**
   * Tries since it was queued, or since a retry was asked for.
   */
  attempts: number;
  /**
   * Milliseconds since the epoch.
   */
  nextAttemptAt: number;
  /**
   * What users see of the last failure: a sentence, and perhaps status, code and request id.
   */
  lastError: StoredError | null;
  /**
   * Milliseconds since the epoch.
   */
  createdAt: number;
  /**
   * Milliseconds since the epoch; null unless it failed.
   */
  failedAt: number | null;
  /**
   * Until when an earlier request of its chain may be applied, milliseconds since the epoch; null: there is no doubt.
   */
  doubtUntil: number | null;
  /**
   * Whether the target would not take it when it was last tried.
   */
  refused: boolean;
  /**
   * The multipart upload that has begun at the target.
   */
  upload: StoredUpload | null;
  /**
   * Which start of the operating system it was last written in: the first 6 bytes of SHA-256 of the kernel's boot id.
   */
  boot: number;
}
/**
 * The last failure of a row.
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
/**
 * A multipart upload.
 */
export interface StoredUpload {
  /**
   * As the target named it.
   */
  uploadId: string;
  /**
   * What it uploads.
   */
  versionId: string;
  /**
   * The host's order of that version when the upload began: a change of its tags changes the order.
   */
  order: number;
  /**
   * Size of every part but the last.
   */
  partBytes: number;
}
