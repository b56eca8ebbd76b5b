/**
 * Settles announcements that a dead process left behind: nobody knows whether their writes happened.
 * Where a key shows what it showed before, nothing is done; otherwise whatever is current is queued.
 */
import type { AnnouncedWrite, Host, ObjectHead } from '../host.ts';
import type { Tenure } from '../model/ports.ts';
import type { LeftIntent } from '../model/queue.ts';

export type SettlementHost = Pick<Host, 'findBucket' | 'headCurrent'>;

/**
 * Settles everything that is left now.
 *
 * @param isWanted asked between intents; false ends it early
 * @throws what the store or the host throws, LeaseLost among it; what was settled stays settled
 */
export async function settleLeftIntents(
  tenure: Pick<Tenure, 'leftIntents' | 'settle'>,
  host: SettlementHost,
  isWanted: () => boolean,
): Promise<void> {
  for (;;) {
    const intents = await tenure.leftIntents();
    if (intents.length === 0) return;
    for (const intent of intents) {
      if (!isWanted()) return;
      await tenure.settle(intent.id, await changedWrites(host, intent));
    }
  }
}

async function changedWrites(
  host: SettlementHost,
  { writes }: LeftIntent,
): Promise<readonly AnnouncedWrite[]> {
  const changed: AnnouncedWrite[] = [];
  for (const write of writes) {
    const bucket = await host.findBucket(write.bucket.name);
    if (bucket?.id !== write.bucket.id) continue;
    const current = await host.headCurrent(write.bucket, write.key);
    if (!isChanged(write, current)) continue;
    // Where a version was to be removed, an older one may be current now: rules that do not
    // replicate deletions want that one.
    const isObject = current !== null && !current.deleteMarker;
    changed.push({ ...write, operation: isObject ? 'put' : 'delete' });
  }
  return changed;
}

function isChanged({ before }: AnnouncedWrite, current: ObjectHead | null): boolean {
  // Nothing was shown before either; but a marker may be newer than a version that came in between.
  if (before === null) return current !== null;
  if (current === null || current.deleteMarker) return true;
  return current.versionId !== before.versionId || current.order !== before.order;
}
