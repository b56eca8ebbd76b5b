/**
 * Mistakes in the engine and in what it decides by, for the simulation. Some invariants are kept twice,
 * so that no single mistake breaks them there: the rows of a bucket that was made again are of rules
 * that are gone too, and a renewal finds out that the lease is lost where no call did.
 */
import type { Mutant } from './mutant.ts';

export const engineMutants: readonly Mutant[] = [
  {
    name: 'a delivery completes without superseding',
    file: 'src/engine/claim-outcome.ts',
    find: `upTo: delivery.upTo, begunAt: context.begunAt, uploadId };`,
    replacement: `upTo: 0, begunAt: context.begunAt, uploadId };`,
    suite: 'simulation',
  },
  {
    name: 'a row that failed goes to the tail of its chain',
    file: 'src/engine/claim-outcome.ts',
    find: `    refused,
    asResolve: false,
    upload,`,
    replacement: `    refused,
    asResolve: true,
    upload,`,
    suite: 'simulation',
  },
  {
    name: 'a breaker never half-opens',
    file: 'src/model/breaker.ts',
    find: `  const until = now + waitMs(openings, since);`,
    replacement: `  const until = now + waitMs(openings, since) * 1e6;`,
    suite: 'simulation',
  },
  {
    name: 'a row that may have arrived is sent without a look',
    file: 'src/engine/deliver.ts',
    find: `  if (row.doubtUntil !== null) {
    const compared`,
    replacement: `  if (row.attempts < 0) {
    const compared`,
    suite: 'simulation',
  },
  {
    name: 'an older version in doubt is sent after the current one',
    file: 'src/engine/deliver.ts',
    find: `if (row.doubtUntil !== null && current !== null && !isCurrent) {`,
    replacement: `if (row.attempts < 0 && current !== null && !isCurrent) {`,
    suite: 'delivery',
  },
  {
    name: 'an ambiguous failure counts as one that is certain',
    file: 'src/engine/claim-outcome.ts',
    find: `const doubtUntil = laterDoubt(row.doubtUntil, doubtAfter(failure, context.now));`,
    replacement: `const doubtUntil = failure.ambiguous ? row.doubtUntil : laterDoubt(row.doubtUntil, doubtAfter(failure, context.now));`,
    suite: 'simulation',
  },
  {
    name: 'nobody looks again after an ambiguous outcome',
    file: 'src/store/record.ts',
    find: `  if (doubtUntil !== null && doubtUntil > begunAt) verifyLater(tx, delivered, doubtUntil);`,
    replacement: `  if (doubtUntil !== null && doubtUntil < begunAt) verifyLater(tx, delivered, doubtUntil);`,
    suite: 'contract',
  },
  {
    name: 'an old version is sent although none waits behind it',
    file: 'src/engine/decision.ts',
    find: `if (laterVersionWaits && !isCurrent) {`,
    replacement: `if ((laterVersionWaits || true) && !isCurrent) {`,
    suite: 'simulation',
  },
  {
    name: 'a row whose version is gone is dropped',
    file: 'src/engine/claim-outcome.ts',
    find: `    case 'gone':
      return {`,
    replacement: `    case 'gone':
      if (row.order > 0) return { kind: 'complete', upTo: row.order, verifyAt: null };
      return {`,
    suite: 'simulation',
  },
  {
    name: 'a resync is done after its first page',
    file: 'src/engine/resync-runner.ts',
    find: `const isLast = next === undefined;`,
    replacement: `const isLast = objects.length >= 0;`,
    suite: 'simulation',
  },
  {
    name: 'a disabled rule misses events without a gap',
    file: 'src/model/match.ts',
    find: `    else dropped.push({ incarnation, deleteLost: event.operation === 'delete' });`,
    replacement: ``,
    suite: 'simulation',
  },
  {
    name: 'settlement drops announcements of writes that happened',
    file: 'src/engine/settlement.ts',
    find: `if (!isChanged(write, current)) continue;`,
    replacement: `if (isChanged(write, current)) continue;`,
    suite: 'simulation',
  },
  {
    name: 'a replica that was current again for a while is sent',
    file: 'src/engine/deliver.ts',
    find: `if (object.replica) return { kind: 'nothing', upTo };`,
    replacement: ``,
    suite: 'delivery',
  },
  {
    name: 'other tags count as the same object',
    file: 'src/model/transfer-plan.ts',
    find: `  return Object.keys(object.tags).length === 0 && head.tagCount === 0 ? 'same' : 'tags';`,
    replacement: `  return 'same';`,
    suite: 'simulation',
  },
  {
    name: 'an upload that began with other tags is resumed',
    file: 'src/engine/deliver.ts',
    find: `isSameVersion && upload.order === object.order && upload.partBytes`,
    replacement: `isSameVersion && upload.partBytes`,
    suite: 'simulation',
  },
  {
    name: 'an upload of another version is resumed',
    file: 'src/engine/deliver.ts',
    find: `const isSameVersion = upload?.versionId === object.versionId;
  const mayResume =
    isSameVersion && upload.order === object.order && upload.partBytes === plan.partBytes;`,
    replacement: `const isSameVersion = upload !== null;
  const mayResume = isSameVersion && upload.partBytes === plan.partBytes;`,
    suite: 'simulation',
  },
  {
    name: 'an outcome is stored while parts are under way',
    file: 'src/engine/multipart.ts',
    find: `await Promise.allSettled(workers);`,
    replacement: `await Promise.allSettled(workers.slice(0, 1));`,
    suite: 'simulation',
  },
  {
    name: 'parts are sent before the upload is stored',
    file: 'src/engine/multipart.ts',
    find: `isKnown = await context.storeUpload(state);`,
    replacement: `isKnown = true;`,
    suite: 'simulation',
  },
  {
    name: 'stray uploads are never aborted',
    file: 'src/engine/lane.ts',
    find: `    this.#strays.want();`,
    replacement: ``,
    suite: 'simulation',
  },
  {
    name: 'a stray upload is forgotten whatever the target says to its abort',
    file: 'src/engine/lost-uploads.ts',
    find: `return result.ok || result.failure.status === 404;`,
    replacement: `return result.ok || result.failure.status !== 0;`,
    suite: 'strays',
  },
  // The store notes an upload that leaves its row: what is forgotten here is aborted later.
  {
    name: 'an upload is forgotten where its object had arrived',
    file: 'src/engine/deliver.ts',
    find: `      if (row.upload !== null) await discardUpload(row.key, row.upload, context);
      return { ...wasThere(upTo), tagsRefused: tags.areRefused };`,
    replacement: `      return { ...wasThere(upTo), tagsRefused: tags.areRefused };`,
    suite: 'delivery',
  },
  {
    name: 'an upload is forgotten where the source fails',
    file: 'src/engine/deliver.ts',
    find: `    if (isClaimed) upload = next;`,
    replacement: ``,
    suite: 'delivery',
  },
  {
    name: 'an upload is forgotten where its version is gone',
    file: 'src/engine/deliver.ts',
    find: `  if (upload !== null) await discardUpload(key, upload, context);
  return { kind: 'gone' };`,
    replacement: `  return { kind: 'gone' };`,
    suite: 'delivery',
  },
  {
    name: 'a silent completion counts as a success',
    file: 'src/engine/multipart.ts',
    find: `{ ...object, tags: {} }, predicted) !== 'different') return null;`,
    replacement: `{ ...object, tags: {} }, predicted) === 'different') return null;`,
    suite: 'delivery',
  },
  {
    name: 'a lane that waits for a time is let go',
    file: 'src/engine/lane.ts',
    find: `const isWaiting = this.#context.wakeTimes.has(this) || this.#strays.lost.size > 0;`,
    replacement: `const isWaiting = this.#strays.lost.size > 0;`,
    suite: 'liveness',
  },
  {
    name: 'a 202 is believed',
    file: 'src/egress/target-proof.ts',
    find: `export const isStored: Proof = (answer) => answer.status === 200 &&`,
    replacement: `export const isStored: Proof = (answer) => answer.status < 300 &&`,
    suite: 'proof',
  },
  {
    name: 'probes take the row that is due for longest',
    file: 'src/model/lane-breakers.ts',
    find: `const untriedFirst = operations.some((operation) => breakers[operation].state !== 'closed');`,
    replacement: `const untriedFirst = false;`,
    suite: 'breakers',
  },
  {
    name: 'refused deletes hold up puts',
    file: 'src/model/lane-breakers.ts',
    find: `const names = (['target', operation] as const).filter(`,
    replacement: `const names = (['target', 'put', 'delete'] as const).filter(`,
    suite: 'breakers',
  },
  {
    name: 'a denial counts against its object whatever else was denied',
    file: 'src/engine/lane-reaction.ts',
    find: `const isObjects = isUnclear ? isOthersTaken : judged.origin === 'object';`,
    replacement: `const isObjects = isUnclear || judged.origin === 'object';`,
    suite: 'reaction',
  },
  {
    name: 'a request for a retry closes the breaker',
    file: 'src/model/breaker.ts',
    find: `      return { ...breaker, until: Math.min(breaker.until, now) };`,
    replacement: `      return CLOSED;`,
    suite: 'breaker',
  },
  {
    name: 'a count of tags that is missing proves that there are none',
    file: 'src/model/transfer-plan.ts',
    find: `head.tagCount === 0 ? 'same' : 'tags'`,
    replacement: `(head.tagCount ?? 0) === 0 ? 'same' : 'tags'`,
    suite: 'plan',
  },
  {
    name: 'no doubt is as long as the silence that was granted',
    file: 'src/model/doubt.ts',
    find: `return now + Math.max(LINGER_MS, 2 * (failure.silenceMs ?? 0));`,
    replacement: `return now + LINGER_MS;`,
    suite: 'doubt',
  },
  {
    name: "a stranger's upload is aborted for one of ours",
    file: 'src/engine/lost-uploads.ts',
    find: `if (unknown.length > together.length) return this.#conclude(together, 'over', together.length);`,
    replacement: ``,
    suite: 'lost',
  },
];
