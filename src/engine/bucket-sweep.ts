/**
 * Forgets the configurations of buckets whose name has another bucket now, although nobody told: the
 * process may have died between the deletion of a bucket and the notice. Bucket ids never return.
 *
 * A name without a bucket proves nothing: after a restore the buckets may not be there yet. Its record
 * stays, unused, until the bucket comes back, another one takes the name, or the host tells that the
 * bucket is gone.
 */
import type { BucketRef, Host, Logger } from '../host.ts';
import type { ConfigurationStore } from '../model/ports.ts';

/** Looks at every record once. Rejects where the host or the store fails; what was removed stays removed. */
export async function sweepRemovedBuckets(
  store: Pick<ConfigurationStore, 'listBuckets' | 'removeBucket'>,
  findBucket: Host['findBucket'],
  logger: Logger,
): Promise<void> {
  let unused = 0;
  let after: string | null = null;
  for (;;) {
    const page: readonly BucketRef[] = await store.listBuckets(after);
    const last = page.at(-1);
    if (last === undefined) break;
    for (const bucket of page) {
      const live = await findBucket(bucket.name);
      if (live?.id === bucket.id) continue;
      if (live === null) {
        unused += 1;
        continue;
      }
      await store.removeBucket(bucket);
      logger.info(
        { bucket: bucket.name, bucketId: bucket.id },
        'forgot the replication configuration of a deleted bucket',
      );
    }
    after = last.name;
  }
  if (unused === 0) return;
  logger.info({ unused }, 'kept replication configurations of buckets that do not exist (now)');
}
