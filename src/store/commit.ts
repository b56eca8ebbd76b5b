/** Committed writes, and what is known of left ones: rows for the rules that match as they are now. */
import type { AnnouncedWrite, CommittedWrite } from '../host.ts';
import { isSynchronous, matchEvent, type MatchedEvent } from '../model/match.ts';
import type { IntentId, QueuedRow } from '../model/queue.ts';
import { forgetIntent } from './announce.ts';
import { configurationOf } from './configurations.ts';
import { enqueue, type Delivery } from './enqueue.ts';
import { noteGap } from './gaps.ts';
import { answerRow } from './rows.ts';
import type { Tx } from './tx.ts';

export function commit(tx: Tx, intent: IntentId, writes: readonly CommittedWrite[]): QueuedRow[] {
  forgetIntent(tx, intent);
  return writes.flatMap((write) => enqueueMatching(tx, write, write));
}

/** @param changed what a dead process announced and perhaps did: whatever is current is delivered */
export function settle(tx: Tx, intent: IntentId, changed: readonly AnnouncedWrite[]): QueuedRow[] {
  forgetIntent(tx, intent);
  return changed.flatMap((write) => enqueueMatching(tx, { ...write, replica: false }, null));
}

/** One row for each target whose rules match; rules that miss the event get a gap. */
function enqueueMatching(
  tx: Tx,
  event: MatchedEvent & Pick<CommittedWrite, 'bucket'>,
  version: Delivery['version'],
): QueuedRow[] {
  const { bucket, key, operation } = event;
  const configuration = configurationOf(tx, bucket);
  const { enqueue: matches, dropped } = matchEvent(configuration, event);
  const now = tx.now();
  for (const drop of dropped) noteGap(tx, bucket, drop, now);
  const queued: QueuedRow[] = [];
  for (const match of matches) {
    const lane = { bucket: { id: bucket.id, name: bucket.name }, targetId: match.targetId };
    const entry = enqueue(tx, lane, match.ruleset, { key, operation, version });
    if (entry === null) continue;
    const row = answerRow(entry, lane);
    queued.push({ ...row, isSynchronous: isSynchronous(configuration, match) });
  }
  return queued;
}
