/** Configurations as the outbox reads them in every transaction, decoded once per change. */
import type { BucketRef } from '../host.ts';
import type { StoredConfiguration } from '../model/generated/stored-configuration.ts';
import { Memo } from './memo.ts';
import type { LaneOwner, Tables } from './tables.ts';

const NO_RULES = { targets: [], rules: [] };

export type LiveConfiguration = Pick<StoredConfiguration, 'targets' | 'rules'>;

export class ConfigurationCache {
  readonly #configurations: Tables['configurations'];
  readonly #byName: Memo<string, StoredConfiguration>;

  constructor({ counters, configurations }: Pick<Tables, 'counters' | 'configurations'>) {
    this.#configurations = configurations;
    this.#byName = new Memo(counters);
  }

  /** As the current transaction sees it; without targets and rules where the bucket has none, or another id. */
  of(bucket: BucketRef): LiveConfiguration {
    const stored = this.#byName.get(bucket.name, () => this.#configurations.get(bucket.name));
    return stored?.bucketId === bucket.id ? stored : NO_RULES;
  }

  ofOwner({ bucketId, bucketName }: LaneOwner): LiveConfiguration {
    return this.of({ id: bucketId, name: bucketName });
  }
}
