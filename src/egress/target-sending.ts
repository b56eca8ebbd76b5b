/**
 * What several operations of the client share beyond one request: metadata that a target may refuse
 * in part, and deletions of what is gone already.
 */
import type { RequestResult } from '../model/delivery.ts';
import type { Answer } from './exchange.ts';
import { objectHeaders, type ObjectMetadata } from './object-headers.ts';
import type { Header } from './sigv4.ts';
import { UNSENDABLE, type TargetRequest, type TargetRequester } from './target-request.ts';

export interface RequestOptions {
  /** Ends the request as a failure at stage `transfer` with the code `ABORT_ERR`. */
  readonly signal?: AbortSignal;
}

/** Sends an object's headers along; a second time without tags where the target does not do tags. */
export async function sendWithMetadata(
  requester: TargetRequester,
  object: ObjectMetadata,
  request: Omit<TargetRequest, 'unsigned'>,
): Promise<RequestResult<{ readonly answer: Answer; readonly tagsRefused: boolean }>> {
  const headers = objectHeaders(object);
  if (headers === null) return { ok: false, failure: UNSENDABLE };
  const { tagging, unsigned } = headers;
  const { method, key, query, body, signal } = request;
  const signed = [...(request.signed ?? []), ...headers.signed];
  const withTags: Header[] = tagging === null ? signed : [...signed, ['x-amz-tagging', tagging]];
  const first = await requester.send({
    method,
    key,
    query,
    signed: withTags,
    unsigned,
    body,
    signal,
  });
  if (first.ok) return { ok: true, value: { answer: first.value, tagsRefused: false } };
  if (tagging === null || first.failure.status !== 501) return first;
  const second = await requester.send({ method, key, query, signed, unsigned, body, signal });
  return second.ok ? { ok: true, value: { answer: second.value, tagsRefused: true } } : second;
}

/** What is to be gone may be gone already; a 404 of another making (a missing bucket, a wrong endpoint) is a failure. */
export async function deleteIfPresent(
  requester: TargetRequester,
  request: TargetRequest,
  codesOfAbsence: readonly string[],
): Promise<RequestResult<null>> {
  const result = await requester.send(request);
  if (result.ok) return { ok: true, value: null };
  const { status, code } = result.failure;
  return status === 404 && code !== undefined && codesOfAbsence.includes(code)
    ? { ok: true, value: null }
    : result;
}
