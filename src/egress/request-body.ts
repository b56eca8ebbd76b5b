/**
 * Bodies of requests: their hashes, and how they go into the socket.
 *
 * A small body goes in one piece. Others go in slices, so that progress can be seen (idle-watch.ts),
 * and so that it is known whether the last byte was ever handed over: an upload that broke before
 * that cannot have been applied.
 */
import { createHash, hash } from 'node:crypto';
import { Readable } from 'node:stream';
import { EMPTY_SHA256 } from './sigv4.ts';

/** Up to here the kernel takes a body at once. */
const ONE_PIECE_BYTES_MAX = 64 * 1024;
const SLICE_BYTES = 32 * 1024;
/** MD5 of no bytes. */
const EMPTY_MD5 = Buffer.from('d41d8cd98f00b204e9800998ecf8427e', 'hex');

/** Bytes that can be read twice: once to be hashed, once to be sent. */
export interface BodySource {
  readonly size: number;
  /** A Readable fits. It is read to its end, or destroyed. */
  open(): Promise<AsyncIterable<Uint8Array>>;
}

/** The bytes at the source could not be read, or were not as many as announced. The only exception of a client. */
export class SourceFailure extends Error {}

/** There is nothing to read any longer. */
export class VersionGone extends SourceFailure {}

export interface RequestBody {
  readonly size: number;
  /** As hex. */
  readonly sha256: string;
  readonly md5: Buffer;
  /** Begins to send; each call sends all of it. */
  start(): Sending;
}

export interface Sending {
  /** For undici; null where there is nothing to send. */
  readonly payload: Buffer | Readable | null;
  /** Whether the last byte may have been handed to the socket, given that the request was begun. */
  allHandedOver(): boolean;
  /** Set where the source failed meanwhile. */
  failure(): SourceFailure | null;
}

export const EMPTY_BODY: RequestBody = {
  size: 0,
  sha256: EMPTY_SHA256,
  md5: EMPTY_MD5,
  start: () => sendAtOnce(null),
};

/** @throws SourceFailure */
export function bodyOf(body: Buffer | BodySource): RequestBody | Promise<RequestBody> {
  return Buffer.isBuffer(body) ? bodyFromMemory(body) : bodyFromSource(body);
}

export function bodyFromMemory(bytes: Buffer): RequestBody {
  return {
    size: bytes.length,
    sha256: hash('sha256', bytes),
    md5: hash('md5', bytes, 'buffer'),
    start: () =>
      bytes.length <= ONE_PIECE_BYTES_MAX
        ? sendAtOnce(bytes)
        : sendInSlices(bytes.length, async () => [bytes]),
  };
}

/** Reads the source once, for the hashes. @throws SourceFailure */
async function bodyFromSource(source: BodySource): Promise<RequestBody> {
  const sha256 = createHash('sha256');
  const md5 = createHash('md5');
  for await (const chunk of readExactly(source.size, () => source.open())) {
    sha256.update(chunk);
    md5.update(chunk);
  }
  return {
    size: source.size,
    sha256: sha256.digest('hex'),
    md5: md5.digest(),
    start: () =>
      source.size === 0 ? sendAtOnce(null) : sendInSlices(source.size, () => source.open()),
  };
}

function sendAtOnce(payload: Buffer | null): Sending {
  return { payload, allHandedOver: () => true, failure: () => null };
}

type Open = () => Promise<AsyncIterable<Uint8Array> | Iterable<Uint8Array>>;

function sendInSlices(size: number, open: Open): Sending {
  let left = size;
  let failure: SourceFailure | null = null;
  async function* slices(): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of readExactly(size, open)) {
        for (let start = 0; start < chunk.length; start += SLICE_BYTES) {
          const slice = chunk.subarray(start, start + SLICE_BYTES);
          left -= slice.length;
          yield slice;
        }
      }
    } catch (error) {
      failure = asSourceFailure(error);
      throw failure;
    }
  }
  return {
    // One slice is read ahead: what was pulled counts as handed over, which errs on the safe side.
    payload: Readable.from(slices(), { highWaterMark: 1 }),
    allHandedOver: () => left <= 0,
    failure: () => failure,
  };
}

/** @throws SourceFailure */
async function* readExactly(size: number, open: Open): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  try {
    for await (const chunk of await open()) {
      bytes += chunk.length;
      if (bytes > size) break;
      yield chunk;
    }
  } catch (error) {
    throw asSourceFailure(error);
  }
  if (bytes !== size) throw new SourceFailure('The source has another length than announced.');
}

function asSourceFailure(error: unknown): SourceFailure {
  return error instanceof SourceFailure
    ? error
    : new SourceFailure('The source could not be read.', { cause: error });
}
