/**
 * One try of one claimed row: looks at the source, decides, compares where a former try may have
 * arrived already, and sends. The result is a value; what becomes of the row and of the lane follows
 * from it elsewhere (claim-outcome.ts, lane.ts).
 */
import type { TargetClient } from '../egress/target-client.ts';
import { SourceFailure } from '../egress/request-body.ts';
import type { ObjectHead, ObjectRef } from '../host.ts';
import type { RequestFailure, RequestResult } from '../model/delivery.ts';
import type { Claim, Row, UploadState } from '../model/row.ts';
import type { Rule } from '../model/rule.ts';
import {
  isSameObject,
  partRange,
  planTransfer,
  predictMultipartEtag,
  type TransferPlan,
} from '../model/transfer-plan.ts';
import type { ByteBudget } from './byte-budget.ts';
import { decide } from './decision.ts';
import { discardUpload, sendMultipart, type Sent } from './multipart.ts';
import { readBytes, readCurrent, readHead, readMd5, type SourceHost } from './source.ts';

export interface DeliveryContext {
  readonly host: SourceHost;
  readonly client: TargetClient;
  /** Those of the row's rules that are there and enabled. */
  readonly rules: readonly Rule[];
  /** Durable enough when it resolves: committed before the first part is sent. False: the claim is void. */
  readonly storeUpload: (upload: UploadState | null) => Promise<boolean>;
  /** The lane's memory for bodies. */
  readonly memory: ByteBudget;
  /** For parts in parallel, beyond the connection that the claim itself has. */
  readonly extraConnections: { tryTake(): boolean; release(): void };
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
      if (row.compareFirst && current !== null && !isCurrent) {
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
  if (!compared.value) return null;
  if (row.upload !== null) await discardUpload(row.key, row.upload, context);
  return wasThere(Math.max(row.order, current.order));
}

async function sendDelete(
  { row }: Claim,
  upTo: number,
  { client, signal }: DeliveryContext,
): Promise<Delivery> {
  if (row.compareFirst) {
    const head = await client.headObject(row.key, { signal });
    if (!head.ok) return failed(head.failure, null);
    if (!head.value.exists) return wasThere(upTo);
  }
  const result = await client.deleteObject(row.key, { signal });
  return result.ok ? { ...wasThere(upTo), wasThere: false } : failed(result.failure, null);
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
  if (row.compareFirst) {
    const compared = await compare(ref, object, plan, context);
    if (compared === null) return gone(row, context);
    if (!compared.ok) return failed(compared.failure, row.upload);
    if (compared.value) {
      if (row.upload !== null) await discardUpload(row.key, row.upload, context);
      return wasThere(upTo);
    }
  }
  const sent = await send(row.upload, ref, object, plan, context);
  switch (sent.kind) {
    case 'gone':
    case 'unwanted':
      return sent;
    case 'failed':
      return failed(sent.failure, sent.upload);
    case 'sent': {
      const { tagsRefused, uploadId } = sent;
      const bytes = object.size;
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
  { host, client, memory, signal }: DeliveryContext,
): Promise<Sent> {
  const waiting = memory.take(object.size);
  if (waiting !== undefined) await waiting;
  try {
    const body = await readBytes(host, ref, object.size);
    if (body === null) return { kind: 'gone' };
    const result = await client.putObject(ref.key, object, body, { signal });
    return result.ok
      ? { kind: 'sent', tagsRefused: result.value.tags !== 'done', uploadId: null }
      : { kind: 'failed', failure: result.failure, upload: null };
  } finally {
    memory.giveBack(object.size);
  }
}

/** Whether the target has exactly this version; null where the version is gone meanwhile. */
async function compare(
  ref: ObjectRef,
  object: ObjectHead,
  plan: TransferPlan,
  context: DeliveryContext,
): Promise<RequestResult<boolean> | null> {
  const head = await context.client.headObject(ref.key, { signal: context.signal });
  if (!head.ok) return head;
  if (!head.value.exists || head.value.size !== object.size) return { ok: true, value: false };
  const { etag } = head.value;
  if (etag === null) return { ok: true, value: false };
  // Every byte of the object may have to be read to tell its ETag there: only if all else fits.
  if (!isSameObject(head.value, object, etag)) return { ok: true, value: false };
  const predicted = await predictEtag(ref, object, plan, etag, context.host);
  if (predicted === null) return null;
  return { ok: true, value: isSameObject(head.value, object, predicted) };
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
