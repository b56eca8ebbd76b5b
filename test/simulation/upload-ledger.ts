/**
 * What the server knows of the uploads that it began, so that those which it forgot at a target can be
 * told from those which nobody could have ended.
 */
import type { Row, UploadState } from '../../src/model/row.ts';

export class UploadLedger {
  /** Ids that are stored: with a row, or as a stray. */
  readonly #known = new Set<string>();
  /** All that were stored once. */
  readonly #stored = new Set<string>();
  readonly #saidToBeGone = new Set<string>();

  /** The row as it was claimed. */
  claimed({ upload }: Row): void {
    if (upload !== null) this.stored(upload);
  }

  /** It is committed that a row has the upload. */
  stored({ uploadId }: UploadState): void {
    this.#known.add(uploadId);
    this.#stored.add(uploadId);
  }

  wasStored(uploadId: string): boolean {
    return this.#stored.has(uploadId);
  }

  /** The target was asked to abort it, and said that it has nothing of the kind. */
  saidToBeGone(uploadId: string): void {
    this.#saidToBeGone.add(uploadId);
  }

  /** The power failed: what was committed and not flushed never happened, and nobody knows what that was. */
  forget(): void {
    this.#known.clear();
  }

  /**
   * The uploads that may stay unfinished although nothing is queued any longer (docs/known-limits.md). This is the one place that says so:
   *
   * - nobody has its id: the process died, or the answer was lost, before it was stored, or the store
   *   lost it with the power;
   * - the target said that it is not there.
   */
  mayStay(uploadId: string): boolean {
    return !this.#known.has(uploadId) || this.#saidToBeGone.has(uploadId);
  }
}
