/**
 * How long the target of one lane may be silent after the last byte of a request: some think for
 * minutes (a buffering proxy, an upload that is put together), and some are dead.
 *
 * A silent request gives up its share of the connections, so that it holds up nobody else, and at most
 * two requests of a lane may be silent for longer than 30 s. Where all of the time has passed, the
 * next request gets twice as much: an object whose target needs ten minutes arrives in the end.
 */
import type { Silence } from '../egress/silence.ts';

const SILENT_MAX = 2;
export const ANSWER_SILENCE_MS = 5 * 60_000;
/** "Processing of a CompleteMultipartUpload request could take several minutes." */
export const COMPLETION_SILENCE_MS = 10 * 60_000;
export const SILENCE_MAX_MS = 60 * 60_000;

/** What one delivery gives up while a request of it is silent, and takes back. */
export interface SilenceListener {
  onSilent(): void;
  onSpoken(): void;
}

export class Silences {
  #silent = 0;
  #granted = { answer: ANSWER_SILENCE_MS, completion: COMPLETION_SILENCE_MS };

  /** For the requests of one delivery. */
  for(listener: SilenceListener): Silence {
    return {
      begin: (request) => {
        if (this.#silent >= SILENT_MAX) return null;
        this.#silent += 1;
        listener.onSilent();
        return this.#granted[request];
      },
      end: (ranOut) => {
        this.#silent -= 1;
        if (ranOut) this.#grantMore();
        listener.onSpoken();
      },
    };
  }

  #grantMore(): void {
    const { answer, completion } = this.#granted;
    this.#granted = {
      answer: Math.min(2 * answer, SILENCE_MAX_MS),
      completion: Math.min(2 * completion, SILENCE_MAX_MS),
    };
  }
}
