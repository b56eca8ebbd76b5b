/**
 * What the server knows of the uploads that it began, so that those which it forgot at a target can be
 * told from those which nobody could have ended.
 *
 *     carried (a row has its id) ──(that row's delivery is committed)──▶ over
 *        │ (the row comes back without it)
 *        ▼
 *     unknown
 */
import type { ClaimOutcome } from '../../src/model/ports.ts';
import type { Row, UploadState } from '../../src/model/row.ts';

interface Carried {
  /** The row that had it last, by sequence. */
  readonly sequence: number;
  isOver: boolean;
  /** Whether an outcome of the engine's own took it off the row. */
  isLetGo: boolean;
  /** Whether somebody asked the target to abort it, whatever came of that. */
  isAborted: boolean;
}

export class UploadLedger {
  #carried = new Map<string, Carried>();
  /** All that ever were. */
  readonly #stored = new Set<string>();

  /** The row as it was claimed. */
  claimed({ sequence, upload }: Row): void {
    for (const [uploadId, { isLetGo }] of this.#of(sequence)) {
      if (!isLetGo && uploadId !== upload?.uploadId) this.#carried.delete(uploadId);
    }
    if (upload !== null) this.stored(upload, sequence);
  }

  /** It is committed that the row has the upload. */
  stored({ uploadId }: UploadState, sequence: number): void {
    this.#stored.add(uploadId);
    const isAborted = this.#carried.get(uploadId)?.isAborted ?? false;
    this.#carried.set(uploadId, { sequence, isOver: false, isLetGo: false, isAborted });
  }

  wasStored(uploadId: string): boolean {
    return this.#stored.has(uploadId);
  }

  aborted(uploadId: string): void {
    const carried = this.#carried.get(uploadId);
    if (carried !== undefined) carried.isAborted = true;
  }

  /** The outcome is committed. */
  settled({ sequence }: Row, outcome: ClaimOutcome): void {
    for (const [uploadId, carried] of this.#of(sequence)) {
      if (outcome.kind === 'complete') carried.isOver = true;
      if (outcome.kind === 'retry') carried.isLetGo = uploadId !== outcome.upload?.uploadId;
    }
  }

  /** The power failed: what was committed and not flushed never happened, and nobody knows what that was. */
  forget(): void {
    this.#carried.clear();
  }

  /**
   * The uploads that may stay unfinished although nothing is queued any longer (ARCHITECTURE.md,
   * "Known limits"). This is the one place that says so:
   *
   * - nobody has its id: the process died, or the answer was lost, before it was stored; or the store
   *   lost it with the power, or with the rule of its row, whose rest only looks at the target;
   * - the row that carried it did not end by a delivery of its own: it was superseded, or taken in by
   *   another one, or its rule was removed;
   * - the target was asked to abort it, and the request failed: aborts are tried once.
   */
  mayStay(uploadId: string): boolean {
    const carried = this.#carried.get(uploadId);
    return carried === undefined || !carried.isOver || carried.isAborted;
  }

  #of(sequence: number): [string, Carried][] {
    return [...this.#carried].filter(([, carried]) => carried.sequence === sequence);
  }
}
