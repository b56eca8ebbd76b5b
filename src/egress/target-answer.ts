/**
 * What an exchange with a target means: the failure that it is, or the values in its headers.
 *
 * `ambiguous` says whether the target may have applied a write, or may still do so:
 *
 * | outcome | ambiguous |
 * | --- | --- |
 * | unsendable, resolve, refused-address, connect, tls | no: nothing was sent |
 * | transfer, before the body's last byte was handed to the socket | no: S3 applies whole bodies only |
 * | transfer after that (reset, silence, cut or unreadable answer, cancelled) | yes |
 * | answer below 500 | no: refused |
 * | answer 501, 503, 505, 507 | no: refused before it was applied |
 * | any other answer from 500 on, once the whole request was sent | yes |
 * | 2xx with an `<Error>` document | yes: the service failed after it had begun |
 * | unproven | yes: something answered with success |
 * | integrity | yes: something was stored |
 * | anything of HEAD and listings | no: there is nothing to apply |
 *
 * Nothing of the remote's choosing goes into a failure unchecked: codes are letters and digits, ids
 * and messages printable, and messages come from public addresses only (an answer from an inner
 * service must not be readable by whoever points a target at it).
 */
import type { RequestFailure } from '../model/delivery.ts';
import type { Answer, Breakdown, AnswerHeaders } from './exchange.ts';
import { elementText, rootName } from './target-xml.ts';

const REQUEST_ID_CHARACTERS_MAX = 128;
const MESSAGE_CHARACTERS_MAX = 200;
/** ETags of up to 10,000 parts are held at a time, and sent back; those that are known have 70 at most. */
const ETAG_CHARACTERS_MAX = 256;
const REFUSED_UNAPPLIED = new Set([501, 503, 505, 507]);

export interface AnswerContext {
  /** Whether the request could change anything at the target. */
  readonly isWrite: boolean;
  /** What requests are signed for. */
  readonly region: string;
  /** For Retry-After in its form with a date. */
  readonly wallClockMs: number;
}

export function breakdownFailure(breakdown: Breakdown, isWrite: boolean): RequestFailure {
  const { stage, code, allSent, silenceMs } = breakdown;
  // A refused address reads the same whatever it was.
  if (stage === 'refused-address') return { stage, ambiguous: false };
  return {
    stage,
    code,
    ...(silenceMs === undefined ? {} : { silenceMs }),
    ambiguous: isWrite && stage === 'transfer' && allSent,
  };
}

export function isErrorDocument({ body }: Answer): boolean {
  return body.length > 0 && rootName(body.toString('utf8')) === 'Error';
}

/** @param answer one that is not a success, or a success with an `<Error>` document */
export function answerFailure(answer: Answer, context: AnswerContext): RequestFailure {
  const xml = answer.body.toString('utf8');
  const isError = rootName(xml) === 'Error';
  const code = isError ? checkedCode(elementText(xml, 'Code')) : undefined;
  const requestId = checkedRequestId(
    answer.headers['x-amz-request-id'] ?? (isError ? elementText(xml, 'RequestId') : null),
  );
  const region = expectedRegion(answer, isError ? xml : '', context.region);
  const theirs = isError && answer.fromPublicAddress ? elementText(xml, 'Message') : null;
  const message = region === null ? checkedMessage(theirs, answer, code) : regionSentence(region);
  const retryAfterMs = parseRetryAfter(answer.headers['retry-after'], context.wallClockMs);
  return {
    stage: 'answer',
    status: answer.status,
    ...(code === undefined ? {} : { code }),
    ...(requestId === undefined ? {} : { requestId }),
    ...(message === undefined ? {} : { message }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ambiguous: context.isWrite && mayBeApplied(answer),
  };
}

/** The answer contradicts what was sent: another ETag, or a document that cannot be read. */
export function integrityFailure(answer: Answer): RequestFailure {
  return { stage: 'integrity', ...requestIdOf(answer), ambiguous: true };
}

/** The answer has 2xx, and nothing that proves that the target did what was asked. */
export function unprovenFailure(answer: Answer, isWrite: boolean): RequestFailure {
  const { status } = answer;
  return { stage: 'unproven', status, ...requestIdOf(answer), ambiguous: isWrite };
}

function requestIdOf(answer: Answer): { readonly requestId?: string } {
  const requestId = checkedRequestId(answer.headers['x-amz-request-id'] ?? null);
  return requestId === undefined ? {} : { requestId };
}

/** Without quotes and the mark of weakness; null where it is missing, empty or far too long. */
export function normalizeEtag(etag: string | null | undefined): string | null {
  const bare = (etag ?? '').trim().replace(/^W\//, '').replaceAll('"', '');
  return bare === '' || bare.length > ETAG_CHARACTERS_MAX ? null : bare;
}

/**
 * Whether an ETag contradicts the one that the body must have. It is compared only where it can be
 * of the same making: 32 hexadecimal digits (`-n` with the same n after them for a multipart upload)
 * and no encryption that makes ETags of something else (SSE-KMS, DSSE-KMS, SSE-C: "Common response
 * headers" of the S3 API). Any other ETag says nothing.
 */
export function contradictsEtag(
  etag: string | null,
  expected: string,
  headers: AnswerHeaders,
): boolean {
  if (etag === null) return false;
  if ((headers['x-amz-server-side-encryption'] ?? '').startsWith('aws:kms')) return false;
  if (headers['x-amz-server-side-encryption-customer-algorithm'] !== undefined) return false;
  const form = /^[0-9a-f]{32}((?:-\d+)?)$/i;
  const suffix = form.exec(etag)?.[1];
  return suffix === form.exec(expected)?.[1] && etag.toLowerCase() !== expected.toLowerCase();
}

function mayBeApplied(answer: Answer): boolean {
  if (answer.status < 300) return true;
  return answer.status >= 500 && answer.allSent && !REFUSED_UNAPPLIED.has(answer.status);
}

function checkedCode(code: string | null): string | undefined {
  return code !== null && /^[A-Za-z0-9]{1,64}$/.test(code) ? code : undefined;
}

function checkedRequestId(id: string | null): string | undefined {
  const printable = (id ?? '').replaceAll(/[^\x20-\x7e]/g, '').slice(0, REQUEST_ID_CHARACTERS_MAX);
  return printable === '' ? undefined : printable;
}

/** The remote's text for a wrong region only quotes what we sent; where there is a text, it is ours. */
function checkedMessage(
  message: string | null,
  { status }: Answer,
  code: string | undefined,
): string | undefined {
  if (code === 'AuthorizationHeaderMalformed' || (status >= 300 && status < 400)) return undefined;
  const characters = [...(message ?? '').replaceAll(/\p{C}/gu, ' ').trim()];
  return characters.length === 0 ? undefined : characters.slice(0, MESSAGE_CHARACTERS_MAX).join('');
}

function regionSentence(region: string): string {
  return `The target expects the region ${region}.`;
}

/** The region that the target says it has, where that is not the one that requests are signed for. */
function expectedRegion(answer: Answer, xml: string, signedFor: string): string | null {
  const isRegionAnswer = [301, 307, 400, 403].includes(answer.status);
  const region = isRegionAnswer
    ? (answer.headers['x-amz-bucket-region'] ?? elementText(xml, 'Region'))
    : null;
  return region !== null && region !== signedFor && /^[A-Za-z0-9-]{1,64}$/.test(region)
    ? region
    : null;
}

/** Seconds or an HTTP date (RFC 9110 section 10.2.3); anything else counts as absent. */
function parseRetryAfter(value: string | undefined, wallClockMs: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\s*\d{1,9}\s*$/.test(value)) return Number(value) * 1000;
  const dateMs = /^[A-Za-z]{3}/.test(value) ? Date.parse(value) : NaN;
  return Number.isNaN(dateMs) ? undefined : Math.max(0, dateMs - wallClockMs);
}
