/**
 * What several operations of the client share beyond one request: metadata that a target may refuse
 * in part, and deletions of what is gone already.
 */
import type { RequestFailure, RequestResult } from '../model/delivery.ts';
import { mayRefuseTags } from '../model/outcome-rules.ts';
import type { Answer } from './exchange.ts';
import { objectHeaders, type ObjectMetadata } from './object-headers.ts';
import type { Header } from './sigv4.ts';
import type { Silence } from './silence.ts';
import type { TagSupport } from './tag-support.ts';
import {
  contradictsEtag,
  integrityFailure,
  normalizeEtag,
  unprovenFailure,
} from './target-answer.ts';
import { isDeleted, isStored } from './target-proof.ts';
import { UNSENDABLE, type TargetRequest, type TargetRequester } from './target-request.ts';

/** "The total size of the tags in the header": many services and proxies take 8 KiB of headers in all. */
export const TAGGING_HEADER_BYTES_MAX = 2_048;

export interface RequestOptions {
  /** Ends the request as a failure at stage `transfer` with the code `ABORT_ERR`. */
  readonly signal?: AbortSignal;
  /** Asked where the target falls silent after the last byte; without it, 30 s of silence end the request. */
  readonly silence?: Silence;
}

/**
 * What became of an object's tags: `done`, there were none or they went along; `refused`, the target
 * takes the object only without; `follow`, they are too long for a header, and the caller has to send
 * them by `putObjectTagging`.
 */
export type TagsSent = 'done' | 'refused' | 'follow';

export interface Sender {
  readonly requester: TargetRequester;
  readonly tagSupport: TagSupport;
}

/**
 * Sends an object's headers along; a second time without tags where the target may have refused those.
 *
 * @param read what the answer proves, or the failure that it is
 */
export async function sendWithMetadata<T extends object>(
  { requester, tagSupport }: Sender,
  object: ObjectMetadata,
  request: Omit<TargetRequest, 'unsigned'>,
  read: (answer: Answer) => RequestResult<T>,
): Promise<RequestResult<T & { readonly tags: TagsSent }>> {
  const headers = objectHeaders(object);
  if (headers === null) return { ok: false, failure: UNSENDABLE };
  const { tagging, unsigned } = headers;
  const signed = [...(request.signed ?? []), ...headers.signed];
  const send = async (tags: readonly Header[]): Promise<RequestResult<T>> => {
    const result = await requester.send({ ...request, signed: [...signed, ...tags], unsigned });
    return result.ok ? read(result.value) : result;
  };
  if (tagging === null) return withTags(await send([]), 'done');
  if (tagSupport.isRefused()) return withTags(await send([]), 'refused');
  if (tagging.length > TAGGING_HEADER_BYTES_MAX) return withTags(await send([]), 'follow');
  const first = await send([['x-amz-tagging', tagging]]);
  if (first.ok || !mayRefuseTags(first.failure)) return withTags(first, 'done');
  const second = await send([]);
  if (second.ok && refusesAllTags(first.failure)) tagSupport.noteRefusal();
  return withTags(second, 'refused');
}

function withTags<T extends object>(
  result: RequestResult<T>,
  tags: TagsSent,
): RequestResult<T & { readonly tags: TagsSent }> {
  return result.ok ? { ok: true, value: { ...result.value, tags } } : result;
}

/** A tag that is not accepted says nothing about those of other objects. */
function refusesAllTags({ code }: RequestFailure): boolean {
  return code !== 'InvalidTag';
}

/**
 * The ETag of an object or part that the target proves to have stored.
 *
 * @param md5 of what was sent, as hex
 */
export function readStored(answer: Answer, md5: string): RequestResult<{ readonly etag: string }> {
  const etag = normalizeEtag(answer.headers.etag);
  if (etag === null || !isStored(answer)) {
    return { ok: false, failure: unprovenFailure(answer, true) };
  }
  return contradictsEtag(etag, md5, answer.headers)
    ? { ok: false, failure: integrityFailure(answer) }
    : { ok: true, value: { etag } };
}

/** What is to be gone may be gone already; a 404 of another making (a missing bucket, a wrong endpoint) is a failure. */
export async function deleteIfPresent(
  requester: TargetRequester,
  request: TargetRequest,
  codesOfAbsence: readonly string[],
): Promise<RequestResult<null>> {
  const result = await requester.sendProven(request, isDeleted);
  if (result.ok) return { ok: true, value: null };
  const { stage, status, code } = result.failure;
  return stage === 'answer' && status === 404 && code !== undefined && codesOfAbsence.includes(code)
    ? { ok: true, value: null }
    : result;
}
