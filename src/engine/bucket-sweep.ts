/**
 * Forgets the configurations of buckets that are gone although nobody told: the process may have
 * died between the deletion of a bucket and the notice. Bucket ids never return, so an id that is
 * not live now never will be.
 */
import type { BucketRef, Host, Logger } from '../host.ts';
import type { ConfigurationStore } from '../model/ports.ts';

/** Looks at every record once. Rejects where the host or the store fails; what was removed stays removed. */
export async function sweepRemovedBuckets(
  store: Pick<ConfigurationStore, 'listBuckets' | 'removeBucket'>,
  findBucket: Host['findBucket'],
  logger: Logger,
): Promise<void> {
  let after: string | null = null;
  for (;;) {
    const page: readonly BucketRef[] = await store.listBuckets(after);
    const last = page.at(-1);
    if (last === undefined) return;
    for (const bucket of page) {
      const live = await findBucket(bucket.name);
      if (live?.id === bucket.id) continue;
      await store.removeBucket(bucket);
      logger.info(
        { bucket: bucket.name, bucketId: bucket.id },
        'forgot the replication configuration of a deleted bucket',
      );
    }
    after = last.name;
  }
}
