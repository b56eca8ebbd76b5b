/**
 * Sends one large version in parts, several at a time.
 *
 * The upload's id is stored before the first part, so that a crash leaves no parts behind that nobody
 * knows of: the next try resumes what ListParts knows, where version, tags and part size are the same,
 * and aborts it otherwise. (The id is the target's to give: a crash before it is stored leaves an upload
 * without parts.) A part that is there already is used only if its ETag is the MD5 of our own bytes: it
 * may have been damaged on its way.
 */
import type { TagsSent } from '../egress/target-sending.ts';
import type { RequestFailure, RequestResult } from '../model/delivery.ts';
import { isDenied } from '../model/outcome-rules.ts';
import type { UploadState } from '../model/row.ts';
import {
  compareObjects,
  partRange,
  predictMultipartEtag,
  type TransferPlan,
} from '../model/transfer-plan.ts';
import type { ListedPart, UploadRef } from '../egress/target-multipart.ts';
import type { ObjectHead, ObjectRef } from '../host.ts';
import type { DeliveryContext } from './deliver.ts';
import { sendBody } from './sent-body.ts';
import { readMd5 } from './source.ts';

/** Parts of one object in flight, each on a connection of its own. */
const PARALLEL_PARTS_MAX = 4;
/** After these the upload is of no more use. */
const UPLOAD_LOST_CODES: ReadonlySet<string> = new Set([
  'NoSuchUpload',
  'InvalidPart',
  'InvalidPartOrder',
]);

export type MultipartPlan = Extract<TransferPlan, { kind: 'multipart' }>;

export type Sent =
  | {
      readonly kind: 'sent';
      readonly tags: TagsSent;
      /** The multipart upload that made it. */
      readonly uploadId: string | null;
    }
  /** The version was removed from the source meanwhile. */
  | { readonly kind: 'gone' }
  /** The row is not claimed any longer. */
  | { readonly kind: 'unwanted' }
  | {
      readonly kind: 'failed';
      readonly failure: RequestFailure;
      /** What the next try may resume. */
      readonly upload: UploadState | null;
    };

interface Part {
  readonly partNumber: number;
  readonly etag: string;
  readonly md5: Buffer;
}

type PartsSent =
  | { readonly kind: 'parts'; readonly parts: readonly Part[] }
  | { readonly kind: 'gone' }
  | { readonly kind: 'failed'; readonly failure: RequestFailure };

interface Job {
  readonly ref: ObjectRef;
  readonly object: ObjectHead;
  readonly plan: MultipartPlan;
  readonly upload: UploadRef;
  readonly listed: ReadonlyMap<number, ListedPart>;
}

/**
 * @param known the upload that the row carries; already known to be of this version, order and part size
 * @throws SourceFailure, and what storing the upload id throws
 */
export async function sendMultipart(
  ref: ObjectRef,
  object: ObjectHead,
  plan: MultipartPlan,
  known: UploadState | null,
  context: DeliveryContext,
): Promise<Sent> {
  const begun = await beginUpload(ref, object, plan, known, context);
  if (begun.kind !== 'begun') return begun;
  const { state, listed, tags } = begun;
  const upload = { key: ref.key, uploadId: state.uploadId };
  const job = { ref, object, plan, upload, listed };
  const sent = await sendParts(job, context);
  if (sent.kind === 'gone') {
    await discardUpload(ref.key, state, context);
    return sent;
  }
  const failure = sent.kind === 'failed' ? sent.failure : await complete(job, sent.parts, context);
  if (failure === null) return { kind: 'sent', tags, uploadId: state.uploadId };
  if (!isUploadLost(failure)) return { kind: 'failed', failure, upload: state };
  await discardUpload(ref.key, state, context);
  return { kind: 'failed', failure, upload: null };
}

/** Aborts an upload that nobody will complete. What the target says to it does not matter. */
export async function discardUpload(
  key: string,
  { uploadId }: UploadState,
  { client, storeUpload, signal }: DeliveryContext,
): Promise<void> {
  const result = await client.abortMultipartUpload({ key, uploadId }, { signal });
  if (result.ok) await storeUpload(null);
}

type Begun =
  | {
      readonly kind: 'begun';
      readonly state: UploadState;
      readonly listed: ReadonlyMap<number, ListedPart>;
      readonly tags: TagsSent;
    }
  | Extract<Sent, { kind: 'failed' | 'unwanted' }>;

async function beginUpload(
  ref: ObjectRef,
  object: ObjectHead,
  plan: MultipartPlan,
  known: UploadState | null,
  context: DeliveryContext,
): Promise<Begun> {
  if (known !== null) {
    const upload = { key: ref.key, uploadId: known.uploadId };
    const listed = await listParts(upload, plan.partCount, context);
    // What became of its tags when it began is not known any longer.
    const tags = Object.keys(object.tags).length > 0 ? 'follow' : 'done';
    if (listed.ok) return { kind: 'begun', state: known, listed: listed.value, tags };
    const { failure } = listed;
    // Where parts may not be listed, the upload is left as a stray, and another one begins.
    const isRefused = failure.stage === 'answer' && (failure.status ?? 0) === 400;
    const mayBeginAnew = isUploadLost(failure) || isDenied(failure) || isRefused;
    if (!mayBeginAnew) return { kind: 'failed', failure, upload: known };
  }
  const { client, signal, silence } = context;
  const begunAt = context.nowMs();
  const created = await client.createMultipartUpload(ref.key, object, { signal, silence });
  if (!created.ok) {
    if (created.failure.ambiguous) context.onCreationLost(begunAt);
    return { kind: 'failed', failure: created.failure, upload: null };
  }
  const { uploadId, tags } = created.value;
  context.onCreated(uploadId);
  const { versionId, order } = object;
  const state = { uploadId, versionId, order, partBytes: plan.partBytes };
  let isKnown = false;
  try {
    isKnown = await context.storeUpload(state);
  } finally {
    // Nobody could ever resume or abort it.
    if (!isKnown) await client.abortMultipartUpload({ key: ref.key, uploadId }, { signal });
  }
  if (!isKnown) return { kind: 'unwanted' };
  return { kind: 'begun', state, listed: new Map(), tags };
}

/** @param partCount parts beyond it are not asked for, however many the target says there are */
async function listParts(
  upload: UploadRef,
  partCount: number,
  { client, signal, silence }: DeliveryContext,
): Promise<RequestResult<ReadonlyMap<number, ListedPart>>> {
  const listed = new Map<number, ListedPart>();
  let after: number | null = 0;
  while (after !== null && after < partCount) {
    const page: Awaited<ReturnType<typeof client.listParts>> = await client.listParts(
      upload,
      after,
      { signal, silence },
    );
    if (!page.ok) return page;
    for (const part of page.value.parts) listed.set(part.partNumber, part);
    after = page.value.next;
  }
  return { ok: true, value: listed };
}

/** Several workers take part after part; the first failure ends them all. */
async function sendParts(job: Job, context: DeliveryContext): Promise<PartsSent> {
  const parts: Part[] = [];
  let nextPart = 1;
  let ended: Exclude<PartsSent, { kind: 'parts' }> | null = null;
  const work = async (): Promise<void> => {
    while (ended === null && nextPart <= job.plan.partCount) {
      const partNumber = nextPart++;
      const sent = await sendPart(job, partNumber, context);
      if (sent.kind === 'part') parts.push(sent.part);
      else ended ??= sent;
    }
  };
  const extra = async (): Promise<void> => {
    try {
      await work();
    } finally {
      context.extraConnections.release();
    }
  };
  const workers = [work()];
  while (
    workers.length < Math.min(PARALLEL_PARTS_MAX, job.plan.partCount) &&
    context.extraConnections.tryTake()
  ) {
    workers.push(extra());
  }
  // All of them must have ended before the claim does: no request outlives it.
  const results = await Promise.allSettled(workers);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
  if (ended !== null) return ended;
  return { kind: 'parts', parts: parts.sort((a, b) => a.partNumber - b.partNumber) };
}

type PartSent =
  { readonly kind: 'part'; readonly part: Part } | Exclude<PartsSent, { kind: 'parts' }>;

async function sendPart(job: Job, partNumber: number, context: DeliveryContext): Promise<PartSent> {
  const { ref, object, plan, upload } = job;
  const { host, client, signal, silence } = context;
  const range = partRange(object.size, plan.partBytes, partNumber);
  const listed = job.listed.get(partNumber);
  if (listed?.size === range.size && listed.etag !== null) {
    const md5 = await readMd5(host, ref, range);
    if (md5 === null) return { kind: 'gone' };
    const { etag } = listed;
    if (md5.toString('hex') === etag.toLowerCase()) {
      return { kind: 'part', part: { partNumber, etag, md5 } };
    }
  }
  const result = await sendBody({ ref, size: range.size, range }, context, (body) =>
    client.uploadPart(upload, partNumber, body, { signal, silence }),
  );
  if (result === null) return { kind: 'gone' };
  return result.ok
    ? { kind: 'part', part: { partNumber, ...result.value } }
    : { kind: 'failed', failure: result.failure };
}

/** Null where the target has the object. */
async function complete(
  { ref, object, upload }: Job,
  parts: readonly Part[],
  { client, signal, silence }: DeliveryContext,
): Promise<RequestFailure | null> {
  const predicted = predictMultipartEtag(parts.map(({ md5 }) => md5));
  const etags = parts.map(({ partNumber, etag }) => ({ partNumber, etag }));
  const options = { signal, silence };
  const completed = await client.completeMultipartUpload(upload, etags, predicted, options);
  if (!completed.ok && completed.failure.stage !== 'unproven') return completed.failure;
  if (completed.ok && completed.value.etag !== null) return null;
  const head = await client.headObject(ref.key, options);
  if (!head.ok) {
    // The document of a completed upload is a proof by itself, if HEAD cannot say more.
    if (completed.ok && isDenied(head.failure)) return null;
    return completed.ok ? { ...head.failure, ambiguous: true } : completed.failure;
  }
  // Tags cannot be seen here, and were accepted or refused when the upload began.
  const shown = head.value.exists ? { ...head.value, tagCount: null } : head.value;
  if (compareObjects(shown, { ...object, tags: {} }, predicted) !== 'different') return null;
  return completed.ok ? { stage: 'integrity', ambiguous: true } : completed.failure;
}

function isUploadLost({ stage, code }: RequestFailure): boolean {
  return stage === 'integrity' || (code !== undefined && UPLOAD_LOST_CODES.has(code));
}
