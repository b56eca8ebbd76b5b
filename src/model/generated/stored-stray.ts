/** Generated from schemas/stored-stray.schema.json by "npm run types"; do not edit. */

/**
 * A record of the database "strays": a multipart upload that began at a lane's target and that no row carries any longer.
 */
export interface StoredStray {
  /**
   * The object's key.
   */
  key: string;
  /**
   * As the target named it.
   */
  uploadId: string;
  /**
   * Service, path and bucket of the target when the upload was left: JSON of the three.
   */
  place: string;
}
