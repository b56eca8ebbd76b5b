/**
 * Configurations as the outbox reads them in every transaction, decoded once per change. Decoding
 * costs ten times a lookup, and LMDB's own transaction id is no use as a validator, since every
 * queued row moves it: `meta.changes` counts changes of configurations alone.
 */
import type { BucketRef } from '../host.ts';
import type { StoredConfiguration } from '../model/generated/stored-configuration.ts';
import type { LaneOwner, Tables } from './tables.ts';

const ENTRIES_MAX = 1_000;

/** Counts every write to `configurations`, by any process; see {@link noteChange}. */
const CHANGES = 'changes';

const NO_RULES = { targets: [], rules: [] };

export type LiveConfiguration = Pick<StoredConfiguration, 'targets' | 'rules'>;

/** To be called in the transaction of each write to `configurations`. */
export function noteChange({ meta }: Tables): void {
  meta.putSync(CHANGES, countChanges({ meta }) + 1);
}

export function countChanges({ meta }: Pick<Tables, 'meta'>): number {
  return meta.get(CHANGES) ?? 0;
}

export class ConfigurationCache {
  readonly #tables: Tables;
  readonly #entries = new Map<string, StoredConfiguration | undefined>();
  #changes = -1;

  constructor(tables: Tables) {
    this.#tables = tables;
  }

  /** As the current transaction sees it; without targets and rules where the bucket has none, or another id. */
  of(bucket: BucketRef): LiveConfiguration {
    const stored = this.#read(bucket.name);
    return stored?.bucketId === bucket.id ? stored : NO_RULES;
  }

  ofOwner({ bucketId, bucketName }: LaneOwner): LiveConfiguration {
    return this.of({ id: bucketId, name: bucketName });
  }

  #read(bucketName: string): StoredConfiguration | undefined {
    const changes = countChanges(this.#tables);
    if (changes !== this.#changes || this.#entries.size > ENTRIES_MAX) {
      this.#entries.clear();
      this.#changes = changes;
    }
    const known = this.#entries.get(bucketName);
    if (known !== undefined || this.#entries.has(bucketName)) return known;
    const stored = this.#tables.configurations.get(bucketName);
    this.#entries.set(bucketName, stored);
    return stored;
  }
}
