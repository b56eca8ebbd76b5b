/** Configurations as every transaction reads them, decoded once per change. */
import type { BucketRef } from '../host.ts';
import { EMPTY_CONFIGURATION, withoutSecrets, type Configuration } from '../model/configuration.ts';
import type { StoredConfiguration } from '../model/generated/stored-configuration.ts';
import type { LaneOwner } from './tables.ts';
import type { Tx } from './tx.ts';

const LIST_MAX = 256;
const NO_RULES = { targets: [], rules: [] };

export type LiveConfiguration = Pick<StoredConfiguration, 'targets' | 'rules'>;

/** Without targets and rules where the bucket has none, or another id. */
export function configurationOf(tx: Tx, bucket: BucketRef): LiveConfiguration {
  const { name } = bucket;
  const stored = tx.configurations.get(name, () => tx.tables.configurations.get(name));
  return stored?.bucketId === bucket.id ? stored : NO_RULES;
}

export function configurationOfOwner(tx: Tx, owner: LaneOwner): LiveConfiguration {
  return configurationOf(tx, { id: owner.bucketId, name: owner.bucketName });
}

/** The same without its secrets; the empty one where there is none. */
export function shownConfiguration(tx: Tx, { id, name }: BucketRef): Configuration {
  const shown = tx.shown.get(name, () => {
    const stored = tx.tables.configurations.get(name);
    if (stored === undefined) return undefined;
    return { bucketId: stored.bucketId, configuration: withoutSecrets(stored) };
  });
  return shown?.bucketId === id ? shown.configuration : EMPTY_CONFIGURATION;
}

/** Buckets that have a record, by name, after the given name. */
export function listBuckets({ tables }: Tx, after: string | null): BucketRef[] {
  const start = after === null ? {} : { start: after, exclusiveStart: true };
  return Array.from(
    tables.configurations.range({ ...start, limit: LIST_MAX }),
    ({ key, value }) => ({ name: key, id: value.bucketId }),
  );
}
