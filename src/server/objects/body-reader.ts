/**
 * Streams the bytes of a body, or a range of them, across its files.
 *
 * Holds one open file and one chunk at a time, whatever the size, and keeps the body pinned until it
 * ends or is destroyed, so that a version that is deleted meanwhile is still delivered whole.
 */
import { open, type FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { Segment } from './tables.ts';

const CHUNK_BYTES = 128 * 1024;

export interface BodyReaderOptions {
  readonly segments: readonly Segment[];
  /** The first byte. */
  readonly start: number;
  /** How many bytes; the segments hold them. */
  readonly length: number;
  readonly pathOf: (file: string) => string;
  /** Called once, when no file is needed any more. */
  readonly release: () => void;
}

export class BodyReader extends Readable {
  readonly #options: BodyReaderOptions;
  #segment = 0;
  /** Where to read next within the segment. */
  #position: number;
  #remaining: number;
  #file: FileHandle | null = null;

  constructor(options: BodyReaderOptions) {
    super({ highWaterMark: CHUNK_BYTES });
    this.#options = options;
    this.#position = options.start;
    this.#remaining = options.length;
  }

  override _read(): void {
    this.#nextChunk().then(
      (chunk) => this.push(chunk),
      (error: unknown) => this.destroy(error as Error),
    );
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#options.release();
    const file = this.#file;
    this.#file = null;
    if (file === null) {
      done(error);
      return;
    }
    file.close().then(
      () => done(error),
      (closeError: unknown) => done(error ?? (closeError as Error)),
    );
  }

  async #nextChunk(): Promise<Buffer | null> {
    if (this.#remaining === 0) return null;
    const [name, size] = await this.#currentSegment();
    const length = Math.min(CHUNK_BYTES, size - this.#position, this.#remaining);
    const buffer = Buffer.allocUnsafeSlow(length);
    const file = this.#file ?? (await this.#open(name));
    const { bytesRead } = await file.read(buffer, 0, length, this.#position);
    if (bytesRead === 0) throw new Error('A file of an object is shorter than its record says.');
    this.#position += bytesRead;
    this.#remaining -= bytesRead;
    return buffer.subarray(0, bytesRead);
  }

  /** Goes on to the segment that holds the next byte. */
  async #currentSegment(): Promise<Segment> {
    for (;;) {
      const segment = this.#options.segments[this.#segment];
      if (segment === undefined) throw new Error('The files of an object are shorter than it is.');
      if (this.#position < segment[1]) return segment;
      this.#position -= segment[1];
      this.#segment += 1;
      const file = this.#file;
      this.#file = null;
      await file?.close();
    }
  }

  /** A stream destroyed while the file was being opened must not keep it open. */
  async #open(name: string): Promise<FileHandle> {
    const file = await open(this.#options.pathOf(name), 'r');
    if (!this.destroyed) {
      this.#file = file;
      return file;
    }
    await file.close();
    throw new Error('The stream was destroyed.');
  }
}
