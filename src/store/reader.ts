/**
 * `alarik-replication/store`: reads the configurations from another process, for instance a
 * monitoring script, while the server runs. It cannot write, and secrets stay sealed.
 *
 * @example
 * const reader = await openReader('./data');
 * console.log(reader.configuration('photos')?.rules);
 * await reader.close();
 */
import { withoutSecrets, type Configuration } from '../model/configuration.ts';
import { openTables } from './tables.ts';

export type { Configuration } from '../model/configuration.ts';
export type { Rule } from '../model/rule.ts';
export type { Target } from '../model/target.ts';

/** One bucket's configuration and what is derived from it, of one moment. */
export interface ConfigurationSnapshot extends Configuration {
  readonly bucketId: string;
  /** Whether writes to the bucket are looked at by the replication engine. */
  readonly mayReplicate: boolean;
}

export interface ConfigurationReader {
  /** The newest committed state, each call its own snapshot; null where the bucket has none. */
  configuration(bucketName: string): ConfigurationSnapshot | null;
  /** Names of buckets that have a configuration, in order, at most 256 after the given one. */
  bucketNames(after?: string): readonly string[];
  close(): Promise<void>;
}

/**
 * @param dataDirectory the server's data directory
 * @throws UnsupportedFormatError where a newer version wrote the store
 */
export async function openReader(dataDirectory: string): Promise<ConfigurationReader> {
  const { root, configurations, hints, close } = await openTables(dataDirectory, {
    readOnly: true,
  });
  return {
    configuration(bucketName) {
      // Both lookups happen in the one read transaction that begins after this.
      root.resetReadTxn();
      const stored = configurations.get(bucketName);
      if (stored === undefined) return null;
      return {
        bucketId: stored.bucketId,
        mayReplicate: hints.has(bucketName),
        ...withoutSecrets(stored),
      };
    },
    bucketNames(after) {
      root.resetReadTxn();
      const start = after === undefined ? {} : { start: after, exclusiveStart: true };
      return Array.from(configurations.keys({ ...start, limit: 256 }));
    },
    close,
  };
}
