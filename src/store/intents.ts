/** Announcements that nobody finished yet; those of dead processes are left to be settled. */
import type { AnnouncedWrite } from '../host.ts';
import type { StoredIntent } from '../model/generated/stored-intent.ts';
import type { IntentId, LeftIntent } from '../model/queue.ts';
import { sequenceKey, trailingSequence } from './outbox-keys.ts';
import type { ProcessIdentity } from './process-identity.ts';
import type { Tables } from './tables.ts';

const LEFT_MAX = 256;

export function addIntent(
  tables: Tables,
  writes: readonly AnnouncedWrite[],
  process: ProcessIdentity,
): IntentId {
  const id = tables.counters.nextSequence();
  tables.intents.put(sequenceKey(id), { writes: writes.map(storedWrite), process });
  return id;
}

export function removeIntent({ intents }: Tables, id: IntentId): void {
  intents.remove(sequenceKey(id));
}

/** Looks past the intents of living processes, which are as many as there are writes in progress. */
export function findLeftIntents(
  { intents }: Tables,
  mayBeAlive: (process: ProcessIdentity) => boolean,
): LeftIntent[] {
  const verdicts = new Map<string, boolean>();
  const left: LeftIntent[] = [];
  for (const { key, value } of intents.range()) {
    const { writes, process } = value;
    const alive = verdicts.get(process.instance) ?? mayBeAlive(process);
    verdicts.set(process.instance, alive);
    if (!alive) left.push({ id: trailingSequence(key), writes: writes.map(announcedWrite) });
    if (left.length === LEFT_MAX) break;
  }
  return left;
}

type StoredWrite = StoredIntent['writes'][number];

function storedWrite({ bucket, key, operation, before }: AnnouncedWrite): StoredWrite {
  return {
    bucketId: bucket.id,
    bucketName: bucket.name,
    key,
    operation,
    versionId: before?.versionId ?? null,
    order: before?.order ?? 0,
  };
}

function announcedWrite(stored: StoredWrite): AnnouncedWrite {
  const { bucketId, bucketName, key, operation, versionId, order } = stored;
  return {
    bucket: { id: bucketId, name: bucketName },
    key,
    operation,
    before: versionId === null ? null : { versionId, order },
  };
}
