/**
 * What objects of the simulation hold. Small ones are a line of text; large ones are whole parts of
 * zeros and such a line behind them, so that thousands of schedules can send them: all share one
 * buffer, and its MD5 is known.
 */
import { createHash, type Hash } from 'node:crypto';
import { Readable } from 'node:stream';
import { SourceFailure, type BodySource } from '../../src/egress/request-body.ts';
import type { ByteRange } from '../../src/host.ts';
import { predictMultipartEtag, SINGLE_PUT_BYTES_MAX } from '../../src/model/transfer-plan.ts';

/** As large as a part, so that a part is either all zeros or a line. */
const ZEROS = Buffer.alloc(SINGLE_PUT_BYTES_MAX);
const ZEROS_MD5 = createHash('md5').update(ZEROS).digest();

/** By count: hashes that have taken so many whole parts. */
const hashes: Hash[] = [createHash('md5')];

export class Body {
  readonly size: number;
  /** What the source says: the MD5 of everything. */
  readonly etag: string;
  /** What a target says: the same, or that of an upload in parts. */
  readonly etagAtTarget: string;
  readonly #chunks: readonly Buffer[];

  /** @param wholeParts 0 for a small object */
  constructor(line: string, wholeParts = 0) {
    const last = Buffer.from(line);
    this.#chunks = [...Array.from({ length: wholeParts }, () => ZEROS), last];
    this.size = wholeParts * ZEROS.length + last.length;
    this.etag = hashOf(wholeParts).update(last).digest('hex');
    this.etagAtTarget =
      wholeParts === 0 ? this.etag : predictMultipartEtag(this.#chunks.map(md5Of));
  }

  read(range: ByteRange = { start: 0, end: this.size - 1 }): Readable {
    const pieces: Buffer[] = [];
    let at = 0;
    for (const chunk of this.#chunks) {
      const piece = chunk.subarray(Math.max(0, range.start - at), Math.max(0, range.end + 1 - at));
      if (piece.length > 0) pieces.push(piece);
      at += chunk.length;
    }
    return Readable.from(pieces);
  }
}

/** The same as hashing it, but for the zeros, which are only compared. */
export function md5Of(bytes: Buffer): Buffer {
  if (bytes.equals(ZEROS)) return ZEROS_MD5;
  return createHash('md5').update(bytes).digest();
}

/** What arrives at a target, read as it is sent: the MD5 of it, and its length. */
export async function readBody(
  body: Buffer | BodySource,
): Promise<{ readonly md5: Buffer; readonly size: number }> {
  if (Buffer.isBuffer(body)) return { md5: md5Of(body), size: body.length };
  const chunks: Uint8Array[] = [];
  try {
    for await (const chunk of await body.open()) chunks.push(chunk);
  } catch (error) {
    // As the client of targets has it.
    if (error instanceof SourceFailure) throw error;
    throw new SourceFailure('The source could not be read.', { cause: error });
  }
  const [only] = chunks;
  const bytes = chunks.length === 1 && Buffer.isBuffer(only) ? only : Buffer.concat(chunks);
  return { md5: md5Of(bytes), size: bytes.length };
}

function hashOf(wholeParts: number): Hash {
  for (let count = hashes.length; count <= wholeParts; count++) {
    hashes.push(hashOf(count - 1).update(ZEROS));
  }
  const hash = hashes[wholeParts] ?? createHash('md5');
  return hash.copy();
}
