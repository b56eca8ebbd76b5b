/**
 * An object store on a real LMDB in a temporary directory, with a replication that records what it
 * is told.
 */
import { strict as assert } from 'node:assert';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { Announcement, AnnouncedWrite, CommittedWrite } from '../../../src/host.ts';
import { Buckets, type BucketRecord } from '../../../src/server/buckets.ts';
import { openServerDatabase, type ServerDatabase } from '../../../src/server/database.ts';
import { ObjectError, type ObjectErrorCode } from '../../../src/server/objects/object-error.ts';
import { ObjectStore } from '../../../src/server/objects/object-store.ts';
import type { PutInput } from '../../../src/server/objects/types.ts';

export interface Fixture {
  readonly directory: string;
  readonly database: ServerDatabase;
  readonly buckets: Buckets;
  readonly store: ObjectStore;
  readonly bucket: BucketRecord;
}

export interface FixtureOptions {
  readonly versioningEnabled?: boolean;
}

/** Opens what is in `directory`, or something new. */
export async function openStore(directory: string) {
  const database = await openServerDatabase(directory);
  const buckets = new Buckets({ database, clock: Date.now });
  const store = await ObjectStore.open({
    environment: database,
    disk: { assertRoom: () => undefined },
    buckets: buckets.records,
    dataDirectory: directory,
    clock: Date.now,
    randomBytes,
  });
  const close = async () => {
    await store.close();
    await database.close();
  };
  return { database, buckets, store, close };
}

export async function withDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'objects-'));
  try {
    await work(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}

export async function withStore(
  options: FixtureOptions,
  work: (fixture: Fixture) => Promise<void>,
): Promise<void> {
  await withDirectory(async (directory) => {
    const { close, ...opened } = await openStore(directory);
    try {
      const bucket = await opened.buckets.create({
        name: 'photos',
        ownerId: 'somebody',
        versioningEnabled: options.versioningEnabled ?? false,
      });
      await work({ directory, bucket, ...opened });
    } finally {
      await close();
    }
  });
}

/** The input of a put with nothing but a body. */
export function bodyOf(
  content: string | Uint8Array | readonly Uint8Array[],
  rest: Partial<PutInput> = {},
): PutInput {
  const chunks =
    typeof content === 'string' || content instanceof Uint8Array ? [Buffer.from(content)] : content;
  return {
    systemHeaders: {},
    userMetadata: {},
    tags: {},
    replica: false,
    body: stream(chunks),
    ...rest,
  };
}

export async function* stream(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield chunk;
}

export async function read(body: Readable | undefined): Promise<Buffer> {
  assert(body !== undefined, 'there is a body');
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

export async function readText(body: Readable | undefined): Promise<string> {
  return (await read(body)).toString();
}

/** All files below `objects/`, by name. */
export async function storedFiles(directory: string): Promise<string[]> {
  const entries = await readdir(join(directory, 'objects'), {
    recursive: true,
    withFileTypes: true,
  });
  return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
}

export async function rejectsWith(code: ObjectErrorCode, work: Promise<unknown>): Promise<void> {
  await assert.rejects(work, (error) => {
    assert(error instanceof ObjectError, String(error));
    assert.equal(error.code, code);
    return true;
  });
}

export interface Recorded {
  readonly announced: readonly AnnouncedWrite[];
  /** Undefined until one of the two is called. */
  outcome: readonly CommittedWrite[] | 'abandoned' | undefined;
}

/** A replication that accepts everything and keeps it. */
export function recorder() {
  const calls: Recorded[] = [];
  const announce = async (announced: readonly AnnouncedWrite[]): Promise<Announcement> => {
    const call: Recorded = { announced, outcome: undefined };
    calls.push(call);
    const settle = (outcome: NonNullable<Recorded['outcome']>) => {
      assert.equal(call.outcome, undefined, 'an announcement is settled once');
      call.outcome = outcome;
    };
    return {
      replicates: [],
      committed: async (writes) => settle(writes),
      abandoned: async () => settle('abandoned'),
    };
  };
  return { calls, announce };
}
