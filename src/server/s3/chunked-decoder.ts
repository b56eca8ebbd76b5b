/**
 * Takes an `aws-chunked` body apart, strictly: `hex-size[;chunk-signature=…]CRLF data CRLF`, a chunk
 * of size 0 at the end, then trailers where the request announced them, then an empty line.
 *
 * States: size → data → data-end → size … → trailer → done. A line is at most 1 KiB and there are at
 * most 16 trailers, so that memory stays bounded whatever the client sends; data is never buffered.
 * Signatures are checked when their chunk ends: the bytes before are out by then, so a consumer must
 * not commit anything until `finish` returned.
 *
 * Source: "Transferring Payload in Multiple Chunks" and "… Including Trailing Headers", Amazon S3 API
 * reference.
 */
import { createHash, type Hash } from 'node:crypto';
import { S3Error } from './errors.ts';
import { signaturesEqual, type ChunkSigner } from './signature-v4.ts';

const LINE_BYTES_MAX = 1024;
const TRAILERS_MAX = 16;
/** 12 hex digits: far more than the largest object, still an exact number. */
const SIZE_LINE = /^([0-9a-fA-F]{1,12})(?:;chunk-signature=([0-9a-f]{64}))?$/;
const TRAILER_LINE = /^([A-Za-z0-9-]{1,128}):(.*)$/;
const TRAILER_SIGNATURE = 'x-amz-trailer-signature';
const LF = 0x0a;

type State = 'size' | 'data' | 'data-end' | 'trailer' | 'done';

export interface ChunkedOptions {
  /** Present where every chunk is signed. */
  readonly signer?: ChunkSigner;
  /** Whether trailers may follow the last chunk. */
  readonly trailers: boolean;
}

export class ChunkedDecoder {
  /** Trailers by lower-case name, complete once `finish` returned. */
  readonly trailers = new Map<string, string>();
  readonly #signer: ChunkSigner | undefined;
  readonly #trailersAllowed: boolean;
  #state: State = 'size';
  #line = '';
  #left = 0;
  #signature = '';
  #hash: Hash | undefined;
  #trailerText = '';

  constructor(options: ChunkedOptions) {
    this.#signer = options.signer;
    this.#trailersAllowed = options.trailers;
  }

  /**
   * Returns the data in these bytes, in slices of them.
   *
   * @throws S3Error InvalidRequest for bad framing, SignatureDoesNotMatch for a chunk's signature
   */
  push(bytes: Uint8Array): Uint8Array[] {
    const data: Uint8Array[] = [];
    let at = 0;
    while (at < bytes.length) {
      if (this.#state === 'data') {
        const slice = bytes.subarray(at, at + this.#left);
        at += slice.length;
        this.#left -= slice.length;
        this.#hash?.update(slice);
        data.push(slice);
        if (this.#left === 0) this.#state = 'data-end';
      } else {
        at = this.#readLine(bytes, at);
      }
    }
    return data;
  }

  /** @throws S3Error IncompleteBody when the last chunk or the empty line after it is missing */
  finish(): void {
    if (this.#state !== 'done') throw new S3Error('IncompleteBody');
  }

  /** Consumes bytes up to the end of the line, or all of them; returns where it stopped. */
  #readLine(bytes: Uint8Array, from: number): number {
    if (this.#state === 'done') throw badFraming();
    const end = bytes.indexOf(LF, from);
    const to = end === -1 ? bytes.length : end;
    if (this.#line.length + to - from > LINE_BYTES_MAX) throw badFraming();
    this.#line += Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString('latin1');
    if (end === -1) return to;
    if (!this.#line.endsWith('\r')) throw badFraming();
    const line = this.#line.slice(0, -1);
    this.#line = '';
    this.#takeLine(line);
    return end + 1;
  }

  #takeLine(line: string): void {
    if (this.#state === 'size') this.#startChunk(line);
    else if (this.#state === 'data-end') this.#endChunk(line);
    else if (line === '') this.#endTrailers();
    else this.#takeTrailer(line);
  }

  #startChunk(line: string): void {
    const match = SIZE_LINE.exec(line);
    if (match === null || (match[2] !== undefined) !== (this.#signer !== undefined)) {
      throw badFraming();
    }
    this.#left = Number.parseInt(match[1]!, 16);
    this.#signature = match[2] ?? '';
    this.#hash = this.#signer && createHash('sha256');
    this.#state = 'data';
    if (this.#left > 0) return;
    this.#checkSignature();
    this.#state = 'trailer';
  }

  #endChunk(line: string): void {
    if (line !== '') throw badFraming();
    this.#checkSignature();
    this.#state = 'size';
  }

  #checkSignature(): void {
    if (this.#signer === undefined || this.#hash === undefined) return;
    const expected = this.#signer.nextChunk(this.#hash.digest('hex'));
    if (!signaturesEqual(expected, this.#signature)) throw new S3Error('SignatureDoesNotMatch');
  }

  #takeTrailer(line: string): void {
    const match = TRAILER_LINE.exec(line);
    if (match === null || !this.#trailersAllowed || this.trailers.size >= TRAILERS_MAX) {
      throw badFraming();
    }
    const name = match[1]!.toLowerCase();
    const value = match[2]!.trim();
    if (this.trailers.has(name) || this.trailers.has(TRAILER_SIGNATURE)) throw badFraming();
    this.trailers.set(name, value);
    if (name !== TRAILER_SIGNATURE) this.#trailerText += `${name}:${value}\n`;
  }

  #endTrailers(): void {
    this.#state = 'done';
    if (this.#signer === undefined || !this.#trailersAllowed) return;
    const signature = this.trailers.get(TRAILER_SIGNATURE) ?? '';
    const expected = this.#signer.trailer(this.#trailerText);
    if (!signaturesEqual(expected, signature)) throw new S3Error('SignatureDoesNotMatch');
  }
}

function badFraming(): S3Error {
  return new S3Error('InvalidRequest', {
    message: 'The aws-chunked framing of the body is broken.',
  });
}
