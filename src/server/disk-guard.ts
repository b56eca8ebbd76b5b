/**
 * Refuses writes that bring data while the disk has no room for them, so that deletions and changes
 * of configuration go on, and says so once in the log, not once for each request.
 *
 * States: room → no room (logged) → room (logged).
 */
import { createDiskWatch, type DiskReport, type DiskSpace } from '../disk/disk-space.ts';
import type { Health, Logger } from '../host.ts';
import { ObjectError } from './objects/object-error.ts';

export interface DiskGuardOptions {
  readonly look: () => DiskSpace;
  /** Milliseconds of a clock that never goes back. */
  readonly monotonicMs: () => number;
  readonly logger: Logger;
  /** Writes a small file where bodies are received, and removes it. */
  readonly writeProbe: () => Promise<void>;
}

export class DiskGuard {
  readonly #watch: () => DiskReport;
  readonly #logger: Logger;
  readonly #writeProbe: () => Promise<void>;
  #hasRoom = true;

  constructor({ look, monotonicMs, logger, writeProbe }: DiskGuardOptions) {
    this.#watch = createDiskWatch(look, monotonicMs);
    this.#logger = logger;
    this.#writeProbe = writeProbe;
    // A start without room is said at once.
    this.#report();
  }

  /** @throws ObjectError InsufficientStorage, with the reason */
  assertRoom(): void {
    const { reason } = this.#report();
    if (reason === null) return;
    throw new ObjectError(
      'InsufficientStorage',
      `${reason} Objects are refused until then; deletions are not.`,
    );
  }

  /** Also ill where a body could not be written although the numbers look well. */
  async health(): Promise<Health> {
    const { reason } = this.#report();
    if (reason !== null) return { healthy: false, reason };
    try {
      await this.#writeProbe();
      return { healthy: true };
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
      return { healthy: false, reason: `The disk does not take the bodies of objects (${code}).` };
    }
  }

  #report(): DiskReport {
    const report = this.#watch();
    const hasRoom = report.reason === null;
    if (hasRoom !== this.#hasRoom) {
      this.#hasRoom = hasRoom;
      if (hasRoom) this.#logger.info({}, 'the disk has room again: objects are accepted');
      else
        this.#logger.warn({ reason: report.reason }, 'the disk has no room: objects are refused');
    }
    return report;
  }
}
