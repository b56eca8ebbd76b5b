/**
 * What a request may ask of its caller when a target falls silent after the last byte.
 *
 * A target that thinks (a buffering proxy, an upload that is put together) says nothing for minutes
 * and is well; so does one that has died. How long it may think, and what that costs others, is the
 * caller's to decide: a request only says when it begins to wait for long, and when that is over.
 */

export interface Silence {
  /**
   * The target has been silent for 30 s after the last byte of a request. Asked once for a request.
   *
   * @param request `completion` where CompleteMultipartUpload is waited for
   * @returns how long it may be silent in all, in milliseconds; null: it is given up now
   */
  begin(request: 'answer' | 'completion'): number | null;
  /**
   * What was begun is over: the target spoke, or the request ended. Called exactly once for each
   * `begin` that returned a number.
   *
   * @param ranOut whether all of the time granted had passed
   */
  end(ranOut: boolean): void;
}
