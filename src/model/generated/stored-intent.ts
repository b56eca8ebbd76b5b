/** Generated from schemas/stored-intent.schema.json by "npm run types"; do not edit. */

/**
 * A record of the database "intents": writes that were announced and neither committed nor abandoned. Its key is a sequence.
 */
export interface StoredIntent {
  /**
   * In the order in which they were announced.
   */
  writes: StoredWrite[];
  process: StoredProcess;
}
/**
 * A change of what is current for a key.
 */
export interface StoredWrite {
  /**
   * The bucket's immutable id.
   */
  bucketId: string;
  /**
   * The bucket's name.
   */
  bucketName: string;
  /**
   * The object's key.
   */
  key: string;
  /**
   * What is about to happen.
   */
  operation: 'put' | 'delete';
  /**
   * The version that was current before; null where none was.
   */
  versionId: string | null;
  /**
   * The order of that version, or 0.
   */
  order: number;
}
/**
 * Who announced: enough to tell whether that process is still alive.
 */
export interface StoredProcess {
  /**
   * UUID of one opened store.
   */
  instance: string;
  /**
   * Process id.
   */
  pid: number;
  /**
   * When the process started: field 22 of /proc/<pid>/stat, clock ticks since the boot; empty where unknown.
   */
  startTime: string;
  /**
   * /proc/sys/kernel/random/boot_id; empty where unknown.
   */
  bootId: string;
}
