/**
 * The body of one request on its way from the source to the target, within the memory of its owner.
 *
 * A small body is read once and held. A larger one is streamed: it is read twice, once for its hashes,
 * which are signed, and once to be sent at the pace of the target, and never held.
 */
import { VersionGone, type BodySource } from '../egress/request-body.ts';
import type { ByteRange, ObjectRef } from '../host.ts';
import type { OwnerMemory } from './body-memory.ts';
import { readBytes, versionSource, type SourceHost } from './source.ts';

export const HELD_BYTES_MAX = 1024 * 1024;
/** What a streamed body takes, about: chunks of its stream, its slices and the socket's buffers. */
const STREAMED_BYTES = 1024 * 1024;

export interface BodyRange {
  readonly ref: ObjectRef;
  /** Of the range, or of the whole version without one. */
  readonly size: number;
  readonly range?: ByteRange;
}

export interface BodyContext {
  readonly host: SourceHost;
  readonly memory: OwnerMemory;
}

/**
 * What `send` resolves with; null where the version is gone.
 *
 * @throws SourceFailure
 */
export async function sendBody<T>(
  { ref, size, range }: BodyRange,
  { host, memory }: BodyContext,
  send: (body: Buffer | BodySource) => Promise<T>,
): Promise<T | null> {
  const isHeld = size <= HELD_BYTES_MAX;
  const bytes = isHeld ? size : STREAMED_BYTES;
  const waiting = memory.take(bytes);
  if (waiting !== undefined) await waiting;
  try {
    if (!isHeld) return await send(versionSource(host, ref, size, range));
    const body = await readBytes(host, ref, size, range);
    return body === null ? null : await send(body);
  } catch (error) {
    if (error instanceof VersionGone) return null;
    throw error;
  } finally {
    memory.giveBack(bytes);
  }
}
