/**
 * Announcements: what the write path is about to do. One that nobody finishes is an intent; those of dead
 * processes are left to be settled.
 */
import type { AnnouncedWrite } from '../host.ts';
import type { StoredIntent } from '../model/generated/stored-intent.ts';
import { isCovered } from '../model/match.ts';
import type { AnnouncedIntent, IntentId, LeftIntent } from '../model/queue.ts';
import { configurationOf } from './configurations.ts';
import { sequenceKey, trailingSequence } from './outbox-keys.ts';
import type { Tx } from './tx.ts';

const LEFT_MAX = 256;

export function announce(tx: Tx, writes: readonly AnnouncedWrite[]): AnnouncedIntent {
  const intent = tx.counters.nextSequence();
  const stored = { writes: writes.map(storedWrite), process: tx.identity };
  tx.tables.intents.put(sequenceKey(intent), stored);
  const replicates = writes.map((write) =>
    isCovered(configurationOf(tx, write.bucket), { ...write, replica: false }),
  );
  return { intent, replicates };
}

export function forgetIntent({ tables }: Tx, intent: IntentId): void {
  tables.intents.remove(sequenceKey(intent));
}

/** Looks past the intents of living processes, which are as many as there are writes in progress. */
export function leftIntents({ tables, mayBeAlive }: Tx): LeftIntent[] {
  const verdicts = new Map<string, boolean>();
  const left: LeftIntent[] = [];
  for (const { key, value } of tables.intents.range()) {
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
