/**
 * Reading versions from the host. Whatever goes wrong here is the source's fault and never the
 * target's: it becomes a SourceFailure, which neither opens a breaker nor fails a row.
 */
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { SourceFailure, VersionGone, type BodySource } from '../egress/request-body.ts';
import type { ByteRange, Host, ObjectHead, ObjectRef, OpenedObject } from '../host.ts';

export type SourceHost = Pick<Host, 'headCurrent' | 'openObject'>;

/** What a key shows now. @throws SourceFailure */
export async function readCurrent(
  host: SourceHost,
  { bucket, key }: ObjectRef | Omit<ObjectRef, 'versionId'>,
): Promise<ObjectHead | null> {
  try {
    return await host.headCurrent(bucket, key);
  } catch (error) {
    throw new SourceFailure('The source could not be read.', { cause: error });
  }
}

/** The version's head, or null where it is gone. @throws SourceFailure */
export async function readHead(host: SourceHost, ref: ObjectRef): Promise<ObjectHead | null> {
  const opened = await open(host, ref);
  opened?.body.destroy();
  return opened?.head ?? null;
}

/**
 * The bytes of the version, or of a range of it; null where it is gone.
 *
 * @throws SourceFailure
 */
export async function readBytes(
  host: SourceHost,
  ref: ObjectRef,
  size: number,
  range?: ByteRange,
): Promise<Buffer | null> {
  const collected = new Collected(size);
  const isThere = await readChunks(host, ref, range, (chunk) => collected.add(chunk));
  return isThere ? collected.bytes() : null;
}

/** The MD5 of a range, without holding it; null where the version is gone. @throws SourceFailure */
export async function readMd5(
  host: SourceHost,
  ref: ObjectRef,
  range?: ByteRange,
): Promise<Buffer | null> {
  const md5 = createHash('md5');
  const isThere = await readChunks(host, ref, range, (chunk) => md5.update(chunk));
  return isThere ? md5.digest() : null;
}

/** A version, or a range of it, as a body that is not held in memory. Opening it throws VersionGone. */
export function versionSource(
  host: SourceHost,
  ref: ObjectRef,
  size: number,
  range?: ByteRange,
): BodySource {
  return {
    size,
    async open() {
      const opened = await open(host, ref, range);
      if (opened === null) throw new VersionGone('The version is gone.');
      return opened.body;
    },
  };
}

/** Bytes of a known length: never in memory twice, and not copied where they come in one piece. */
class Collected {
  readonly #size: number;
  #bytes: Buffer | null = null;
  #length = 0;

  constructor(size: number) {
    this.#size = size;
  }

  add(chunk: Uint8Array): void {
    const start = this.#length;
    this.#length += chunk.length;
    if (this.#length > this.#size) return;
    if (chunk.length === this.#size) {
      this.#bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
      return;
    }
    this.#bytes ??= Buffer.allocUnsafeSlow(this.#size);
    this.#bytes.set(chunk, start);
  }

  /** @throws SourceFailure where there were more or fewer */
  bytes(): Buffer {
    if (this.#length !== this.#size)
      throw new SourceFailure('The source has another length than its head.');
    return this.#bytes ?? Buffer.alloc(0);
  }
}

async function readChunks(
  host: SourceHost,
  ref: ObjectRef,
  range: ByteRange | undefined,
  onChunk: (chunk: Uint8Array) => void,
): Promise<boolean> {
  const opened = await open(host, ref, range);
  if (opened === null) return false;
  await readToEnd(opened.body, onChunk);
  return true;
}

/** An async iterator over a small body costs as much as all else that is done with it. @throws SourceFailure */
function readToEnd(body: Readable, onChunk: (chunk: Uint8Array) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error?: unknown): void =>
      reject(new SourceFailure('The source could not be read.', { cause: error }));
    body.on('data', onChunk);
    body.on('end', resolve);
    body.on('error', fail);
    // Without an end before it, and perhaps without an error.
    body.on('close', () => {
      if (!body.readableEnded) fail();
    });
    if (body.destroyed) fail();
  });
}

async function open(
  host: SourceHost,
  ref: ObjectRef,
  range?: ByteRange,
): Promise<OpenedObject | null> {
  try {
    return await host.openObject(ref, range);
  } catch (error) {
    throw new SourceFailure('The source could not be opened.', { cause: error });
  }
}
