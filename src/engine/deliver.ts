/**
 * One try of one claimed row: looks at the source, decides, compares where a former try may have
 * arrived already, and sends. The result is a value; what becomes of the row and of the lane follows
 * from it elsewhere (claim-outcome.ts, lane.ts).
 */
import type { TargetClient } from '../egress/target-client.ts';
import { SourceFailure } from '../egress/request-body.ts';
import type { ObjectHead, ObjectRef } from '../host.ts';
import type { Silence } from '../egress/silence.ts';
import type { RequestFailure, RequestResult } from '../model/delivery.ts';
import { isDenied, mayRefuseTags } from '../model/outcome-rules.ts';
import type { Claim, Row, UploadState } from '../model/row.ts';
import type { Rule } from '../model/rule.ts';
import {
  compareObjects,
  partRange,
  planTransfer,
  predictMultipartEtag,
  type Sameness,
  type TransferPlan,
} from '../model/transfer-plan.ts';
import type { OwnerMemory } from './body-memory.ts';
import { decide } from './decision.ts';
import { discardUpload, sendMultipart, type Sent } from './multipart.ts';
import { sendBody } from './sent-body.ts';
import { readCurrent, readHead, readMd5, type SourceHost } from './source.ts';

export interface DeliveryContext {
  readonly host: SourceHost;
  readonly client: TargetClient;
  /** Those of the row's rules that are there and enabled. */
  readonly rules: readonly Rule[];
  /** Durable enough when it resolves: committed before the first part is sent. False: the claim is void. */
  readonly storeUpload: (upload: UploadState | null) => Promise<boolean>;
  /** For bodies: the share of the bucket's owner. */
  readonly memory: OwnerMemory;
  /** For parts in parallel, beyond the connection that the claim itself has. */
  readonly extraConnections: { tryTake(): boolean; release(): void };
  /** Asked where the target falls silent. */
  readonly silence: Silence;
  /** A multipart upload may have begun whose id is unknown. */
  readonly onCreationLost: (begunAt: number) => void;
  readonly onCreated: (uploadId: string) => void;
  /** The store's clock. */
  readonly nowMs: () => number;
  /** Aborts when the lane has to stop now. */
  readonly signal: AbortSignal;
}

export type Delivery =
  | {
      readonly kind: 'delivered';
      readonly upTo: number;
      /** Whether the target had it already. */
      readonly wasThere: boolean;
      readonly bytes: number;
      readonly tagsRefused: boolean;
      /** The multipart upload that made it. */
      readonly uploadId: string | null;
    }
  /** The target shall stay as it is; it was not asked. */
  | { readonly kind: 'nothing'; readonly upTo: number }
  | {
      /** The version is gone at the source. */
      readonly kind: 'gone';
      /** Begun for it, and not aborted yet. */
      readonly upload: UploadState | null;
    }
  /** No enabled rule wants the row any longer, or it is not claimed any longer. */
  | { readonly kind: 'unwanted' }
  | {
      readonly kind: 'source-failed';
      /** What the next try may resume. */
      readonly upload: UploadState | null;
    }
  | {
      readonly kind: 'failed';
      readonly failure: RequestFailure;
      readonly upload: UploadState | null;
    };

/** What a delivery comes to before it is looked at what became of the upload. */
type Decided = Exclude<Delivery, { kind: 'gone' }> | { readonly kind: 'gone' };

const TOO_LARGE: Sent = {
  kind: 'failed',
  failure: { stage: 'unsendable', ambiguous: false },
  upload: null,
};

/** @throws only what storing an upload id throws */
export async function deliver(claim: Claim, context: DeliveryContext): Promise<Delivery> {
  let { upload } = claim.row;
  const storeUpload: DeliveryContext['storeUpload'] = async (next) => {
    const isClaimed = await context.storeUpload(next);
    if (isClaimed) upload = next;
    return isClaimed;
  };
  try {
    const delivery = await deliverDecided(claim, { ...context, storeUpload });
    return delivery.kind === 'gone' ? { ...delivery, upload } : delivery;
  } catch (error) {
    if (error instanceof SourceFailure) return { kind: 'source-failed', upload };
    throw error;
  }
}

async function deliverDecided(claim: Claim, context: DeliveryContext): Promise<Decided> {
  const { row } = claim;
  const { rules, host } = context;
  if (rules.length === 0) return { kind: 'unwanted' };
  const { bucket } = row.lane;
  const current = await readCurrent(host, { bucket, key: row.key });
  const replicateDeletes = rules.some((rule) => rule.replicateDeletes);
  const decision = decide(claim, current, replicateDeletes);
  const wantedVersion = decision.kind === 'put' ? decision.versionId : null;
  if (row.upload !== null && row.upload.versionId !== wantedVersion) {
    await discardUpload(row.key, row.upload, context);
  }
  switch (decision.kind) {
    case 'nothing':
      return { kind: 'nothing', upTo: decision.upTo };
    case 'delete':
      return sendDelete(claim, decision.upTo, context);
    case 'put': {
      const { versionId, upTo } = decision;
      const isCurrent = current?.versionId === versionId;
      if (row.doubtUntil !== null && current !== null && !isCurrent) {
        const ended = await endWhereCurrentIsShown(row, current, context);
        if (ended !== null) return ended;
      }
      const known = isCurrent ? current : null;
      return sendPut(claim, { bucket, key: row.key, versionId }, upTo, known, context);
    }
  }
}

/**
 * A row in doubt that is older than what is current: where the target shows the latter already, the
 * older one is not sent after it. Null where it does not.
 */
async function endWhereCurrentIsShown(
  row: Row,
  current: ObjectHead,
  context: DeliveryContext,
): Promise<Delivery | null> {
  if (current.deleteMarker || current.replica) return null;
  const ref = { bucket: row.lane.bucket, key: row.key, versionId: current.versionId };
  const compared = await compare(ref, current, planTransfer(current.size), context);
  if (compared === null) return null;
  if (!compared.ok) return failed(compared.failure, row.upload);
  if (compared.value !== 'same') return null;
  if (row.upload !== null) await discardUpload(row.key, row.upload, context);
  return wasThere(Math.max(row.order, current.order));
}

async function sendDelete(
  { row }: Claim,
  upTo: number,
  { client, signal, silence }: DeliveryContext,
): Promise<Delivery> {
  if (row.doubtUntil !== null) {
    const head = await client.headObject(row.key, { signal, silence });
    if (!head.ok && !isDenied(head.failure)) return failed(head.failure, null);
    if (head.ok && !head.value.exists) return wasThere(upTo);
  }
  const result = await client.deleteObject(row.key, { signal, silence });
  if (result.ok) return { ...wasThere(upTo), wasThere: false };
  if (result.failure.stage === 'unproven') {
    const head = await client.headObject(row.key, { signal, silence });
    if (head.ok && !head.value.exists) return { ...wasThere(upTo), wasThere: false };
  }
  return failed(result.failure, null);
}

/** The target shows already what it should. */
function wasThere(upTo: number): Extract<Delivery, { kind: 'delivered' }> {
  return {
    kind: 'delivered',
    upTo,
    wasThere: true,
    bytes: 0,
    tagsRefused: false,
    uploadId: null,
  };
}

/** @param known the head, where it was read already */
async function sendPut(
  { row }: Claim,
  ref: ObjectRef,
  upTo: number,
  known: ObjectHead | null,
  context: DeliveryContext,
): Promise<Decided> {
  const object = known ?? (await readHead(context.host, ref));
  if (object === null) return gone(row, context);
  // It was current again for a while, as its successor was removed: an event of this server's own.
  if (object.replica) return { kind: 'nothing', upTo };
  const plan = planTransfer(object.size);
  if (row.doubtUntil !== null) {
    const compared = await compare(ref, object, plan, context);
    if (compared === null) return gone(row, context);
    if (!compared.ok) return failed(compared.failure, row.upload);
    const tags =
      compared.value === 'tags'
        ? await completeTags(object, context)
        : ({ kind: 'complete', areRefused: false } as const);
    if (tags.kind === 'failed') return failed(tags.failure, row.upload);
    if (compared.value !== 'different' && tags.kind === 'complete') {
      if (row.upload !== null) await discardUpload(row.key, row.upload, context);
      return { ...wasThere(upTo), tagsRefused: tags.areRefused };
    }
  }
  const sent = await finishSent(
    await send(row.upload, ref, object, plan, context),
    { ref, object, plan },
    context,
  );
  switch (sent.kind) {
    case 'gone':
    case 'unwanted':
      return sent;
    case 'failed':
      return failed(sent.failure, sent.upload);
    case 'sent': {
      const { tags, uploadId } = sent;
      const bytes = object.size;
      const tagsRefused = tags === 'refused';
      return { kind: 'delivered', upTo, wasThere: false, bytes, tagsRefused, uploadId };
    }
  }
}

/** What was begun for a version that is gone is of no more use. */
async function gone({ key, upload }: Row, context: DeliveryContext): Promise<Decided> {
  if (upload !== null) await discardUpload(key, upload, context);
  return { kind: 'gone' };
}

function send(
  upload: UploadState | null,
  ref: ObjectRef,
  object: ObjectHead,
  plan: TransferPlan,
  context: DeliveryContext,
): Promise<Sent> {
  switch (plan.kind) {
    case 'single':
      return sendSingle(ref, object, context);
    case 'multipart':
      return sendInParts(upload, ref, object, plan, context);
    case 'tooLarge':
      return Promise.resolve(TOO_LARGE);
  }
}

async function sendInParts(
  upload: UploadState | null,
  ref: ObjectRef,
  object: ObjectHead,
  plan: Extract<TransferPlan, { kind: 'multipart' }>,
  context: DeliveryContext,
): Promise<Sent> {
  const isSameVersion = upload?.versionId === object.versionId;
  const mayResume =
    isSameVersion && upload.order === object.order && upload.partBytes === plan.partBytes;
  if (isSameVersion && !mayResume) await discardUpload(ref.key, upload, context);
  return sendMultipart(ref, object, plan, mayResume ? upload : null, context);
}

async function sendSingle(
  ref: ObjectRef,
  object: ObjectHead,
  context: DeliveryContext,
): Promise<Sent> {
  const { client, signal, silence } = context;
  const result = await sendBody({ ref, size: object.size }, context, (body) =>
    client.putObject(ref.key, object, body, { signal, silence }),
  );
  if (result === null) return { kind: 'gone' };
  return result.ok
    ? { kind: 'sent', tags: result.value.tags, uploadId: null }
    : { kind: 'failed', failure: result.failure, upload: null };
}

interface Sending {
  readonly ref: ObjectRef;
  readonly object: ObjectHead;
  readonly plan: TransferPlan;
}

/** What is left to do once the body has arrived, or may have: a proof of it, and tags that were too long. */
async function finishSent(
  sent: Sent,
  { ref, object, plan }: Sending,
  context: DeliveryContext,
): Promise<Sent> {
  if (sent.kind === 'failed' && sent.failure.stage === 'unproven' && plan.kind === 'single') {
    const compared = await compare(ref, object, plan, context);
    if (compared === null) return { kind: 'gone' };
    if (!compared.ok || compared.value === 'different') return sent;
    const tags = compared.value === 'same' ? 'done' : 'follow';
    return finishSent({ kind: 'sent', tags, uploadId: null }, { ref, object, plan }, context);
  }
  if (sent.kind !== 'sent' || sent.tags !== 'follow') return sent;
  const tags = await completeTags(object, context);
  switch (tags.kind) {
    case 'complete':
      return { ...sent, tags: tags.areRefused ? 'refused' : 'done' };
    case 'denied':
      return { ...sent, tags: Object.keys(object.tags).length > 0 ? 'refused' : 'done' };
    case 'failed':
      // The object is there: the next try looks first, and has only the tags to send.
      return { kind: 'failed', failure: { ...tags.failure, ambiguous: true }, upload: null };
  }
}

type TagsCompleted =
  | { readonly kind: 'complete'; readonly areRefused: boolean }
  /** Not for this access key: whether there are tags is unknown. */
  | { readonly kind: 'denied' }
  | { readonly kind: 'failed'; readonly failure: RequestFailure };

/** Gives the object at the target the tags that it has here, none too. */
async function completeTags(
  { key, tags }: ObjectHead,
  { client, signal, silence }: DeliveryContext,
): Promise<TagsCompleted> {
  const result = await client.putObjectTagging(key, tags, { signal, silence });
  if (result.ok) return { kind: 'complete', areRefused: false };
  const { failure } = result;
  const { stage, status, code } = failure;
  if (stage === 'answer' && status === 404 && code !== 'NoSuchBucket') return { kind: 'denied' };
  const isAboutTags = mayRefuseTags(failure) || (stage === 'answer' && status === 405);
  if (isAboutTags && status === 403) return { kind: 'denied' };
  // A service that does no tags has none.
  if (isAboutTags) return { kind: 'complete', areRefused: Object.keys(tags).length > 0 };
  return { kind: 'failed', failure };
}

/**
 * Whether the target has exactly this version; null where the version is gone meanwhile. A target that
 * denies HEAD cannot say: the version is sent then, as if the target had another one.
 */
async function compare(
  ref: ObjectRef,
  object: ObjectHead,
  plan: TransferPlan,
  context: DeliveryContext,
): Promise<RequestResult<Sameness> | null> {
  const { signal, silence } = context;
  const head = await context.client.headObject(ref.key, { signal, silence });
  const different = { ok: true, value: 'different' } as const;
  if (!head.ok) return isDenied(head.failure) ? different : head;
  if (!head.value.exists || head.value.size !== object.size) return different;
  const { etag } = head.value;
  if (etag === null) return different;
  // Every byte of the object may have to be read to tell its ETag there: only if all else fits.
  if (compareObjects(head.value, object, etag) === 'different') return different;
  const predicted = await predictEtag(ref, object, plan, etag, context.host);
  if (predicted === null) return null;
  return { ok: true, value: compareObjects(head.value, object, predicted) };
}

/** The ETag that our own way of sending makes, or '' for one that cannot be `shown`; null: gone. */
async function predictEtag(
  ref: ObjectRef,
  object: ObjectHead,
  plan: TransferPlan,
  shown: string,
  host: SourceHost,
): Promise<string | null> {
  if (plan.kind === 'single') {
    if (/^[0-9a-f]{32}$/i.test(object.etag)) return object.etag;
    return (await readMd5(host, ref))?.toString('hex') ?? null;
  }
  if (plan.kind === 'tooLarge' || !shown.endsWith(`-${plan.partCount}`)) return '';
  const md5s: Buffer[] = [];
  for (let part = 1; part <= plan.partCount; part++) {
    const md5 = await readMd5(host, ref, partRange(object.size, plan.partBytes, part));
    if (md5 === null) return null;
    md5s.push(md5);
  }
  return predictMultipartEtag(md5s);
}

function failed(failure: RequestFailure, upload: UploadState | null): Delivery {
  return { kind: 'failed', failure, upload };
}
