/**
 * The server's own LMDB environment, `<data>/server/`, apart from what plugins keep.
 *
 * One place opens it and names the databases of accounts and buckets, so that a change that touches
 * several of them is one transaction. The object store opens further databases on the same `root`.
 */
import { join } from 'node:path';
import type { Database } from 'lmdb';
import { openEnvironment, type Environment, type EnvironmentOptions } from '../lmdb/environment.ts';
import type { AccessKeyRecord } from './access-keys.ts';
import type { UserRecord } from './accounts.ts';
import type { BucketRecord } from './buckets.ts';

const DIRECTORY = 'server';
const FORMAT = 1;

/** `root` also opens the databases of the object store; `commits` covers all of them. */
export interface ServerDatabase extends Pick<Environment, 'root' | 'commits' | 'close'> {
  /** By user id. */
  readonly users: Database<UserRecord, string>;
  /** User name to user id. */
  readonly userIdsByName: Database<string, string>;
  /** By access key id. */
  readonly accessKeys: Database<AccessKeyRecord, string>;
  /** [user id, access key id]. */
  readonly accessKeysByUser: Database<true, [string, string]>;
  /** By bucket name. */
  readonly buckets: Database<BucketRecord, string>;
  /** [owner id, bucket name]. */
  readonly bucketsByOwner: Database<true, [string, string]>;
}

/**
 * Opens the environment below `dataDirectory`; whoever opened it closes it.
 *
 * @throws UnsupportedFormatError when a newer version wrote it
 */
export async function openServerDatabase(
  dataDirectory: string,
  options: Pick<EnvironmentOptions, 'onFailure' | 'onCompaction'> = {},
): Promise<ServerDatabase> {
  const { root, commits, close } = await openEnvironment({
    directory: join(dataDirectory, DIRECTORY),
    format: FORMAT,
    ...options,
  });
  return {
    root,
    commits,
    close,
    users: root.openDB({ name: 'users' }),
    userIdsByName: root.openDB({ name: 'user-ids-by-name' }),
    accessKeys: root.openDB({ name: 'access-keys' }),
    accessKeysByUser: root.openDB({ name: 'access-keys-by-user' }),
    buckets: root.openDB({ name: 'buckets' }),
    bucketsByOwner: root.openDB({ name: 'buckets-by-owner' }),
  };
}
