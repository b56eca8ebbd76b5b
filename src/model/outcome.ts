/**
 * Judges a failed request: whether it is tried again, whose fault it is, and the sentence that users
 * read. One pure function with its tables; test/model/outcome-table.ts names every case.
 *
 * The origin decides what follows. A failure of the *target* (it cannot be reached, does not accept
 * the credentials, has no such bucket) says nothing about the object: it opens the lane's breaker and
 * never fails a row. A failure of the *object* concerns that one row, and only those fail it. Where
 * an answer leaves both open, it counts as the target's: a row that waits is better than one that is
 * lost, and the breaker sends probes of other chains. *Refused* are answers of a service that knows
 * what it says, for a reason that may be this object's or everybody's; they are marked, because only
 * several of them tell which (the engine counts).
 *
 * Sentences never name an address, a secret or a path of this machine. The target's own words
 * appear for codes that have no sentence here, in the form in which the client let them through.
 */
import type { RequestFailure, Stage } from './delivery.ts';
import { answerRules, ELSEWHERE, WRONG_REGION, type AnswerRule } from './outcome-rules.ts';

/** Longest wait that a target may ask for. */
const RETRY_AFTER_MS_MAX = 3_600_000;

export type Outcome =
  | {
      readonly kind: 'retry';
      readonly origin: 'target' | 'object';
      /** The target refuses this request: perhaps only this object, perhaps all. Origin `target` then. */
      readonly refused?: true;
      /** One sentence. */
      readonly reason: string;
      /** How long the target asks to be left alone, at most an hour. */
      readonly afterMs?: number;
      /** The target asks for fewer requests: halve the lane's concurrency. */
      readonly throttled?: boolean;
    }
  /** Sending the same object again would fail in the same way. */
  | { readonly kind: 'reject'; readonly origin: 'object'; readonly reason: string };

const UNTRUSTED =
  'The certificate of the target is not signed by an authority that this server trusts.';

/** Codes of node and undici, at the stages without an answer. */
const SENTENCES_BY_CODE: ReadonlyMap<string, string> = new Map([
  ['ECONNREFUSED', 'The target refuses connections.'],
  ['ENETUNREACH', 'There is no route to the target.'],
  ['EHOSTUNREACH', 'There is no route to the target.'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'The certificate of the target is for another host name.'],
  ['CERT_HAS_EXPIRED', 'The certificate of the target has expired.'],
  ['CERT_NOT_YET_VALID', 'The certificate of the target is not valid yet.'],
  ['CERT_REVOKED', 'The certificate of the target is revoked.'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', UNTRUSTED],
  ['SELF_SIGNED_CERT_IN_CHAIN', UNTRUSTED],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', UNTRUSTED],
  ['UNABLE_TO_GET_ISSUER_CERT', UNTRUSTED],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', UNTRUSTED],
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'The target does not speak TLS at this port.'],
  ['EPROTO', 'The TLS handshake with the target failed.'],
  ['ABORT_ERR', 'The transfer was interrupted by this server.'],
  ['UND_ERR_DESTROYED', 'The transfer was interrupted by this server.'],
]);

const TIMEOUTS: Readonly<Partial<Record<Stage, string>>> = {
  connect: 'The target did not accept a connection in time (timeout).',
  tls: 'The target did not finish the TLS handshake in time (timeout).',
  transfer: 'The connection to the target stood still (timeout).',
};

const STAGE_SENTENCES: Readonly<Partial<Record<Stage, string>>> = {
  connect: 'The connection to the target failed',
  tls: 'The TLS handshake with the target failed',
  transfer: 'The connection to the target broke',
};

/** Judges a failure of whatever kind. Pure. */
export function judge(failure: RequestFailure): Outcome {
  switch (failure.stage) {
    case 'unsendable':
      return {
        kind: 'reject',
        origin: 'object',
        reason: 'The object has a key, header, metadata or tag that HTTP cannot carry.',
      };
    case 'integrity':
      return retry('object', 'The target answered with something that contradicts what was sent.');
    case 'unproven':
      return retry('target', unprovenSentence(failure));
    case 'resolve':
      return retry('target', 'The name of the endpoint does not resolve (DNS).');
    case 'refused-address':
      return retry('target', 'The endpoint leads to an address that this target may not use.');
    case 'connect':
    case 'tls':
    case 'transfer':
      return retry('target', connectionSentence(failure));
    case 'answer':
      return judgeAnswer(failure);
  }
}

function judgeAnswer(failure: RequestFailure): Outcome {
  const { message, retryAfterMs } = failure;
  const [verdict, sentence] = ruleOf(failure);
  // With these two, the client's message is its own sentence about the region.
  const isOurs = sentence === WRONG_REGION || sentence === ELSEWHERE;
  const reason = (isOurs ? message : undefined) ?? sentence;
  if (verdict === 'reject') return { kind: 'reject', origin: 'object', reason };
  return {
    ...retry(verdict === 'object' ? 'object' : 'target', reason),
    ...(retryAfterMs === undefined ? {} : { afterMs: clamp(retryAfterMs) }),
    ...(verdict === 'throttled' ? { throttled: true } : {}),
    ...(verdict === 'refused' ? { refused: true as const } : {}),
  };
}

function ruleOf(failure: RequestFailure): AnswerRule {
  const { status = 0, code = '' } = failure;
  const rule = answerRules.get(code) ?? answerRules.get(status);
  if (rule !== undefined) return rule;
  // Somebody refuses this request, be it a proxy. A 404 without a code may be no S3 service at all.
  const isRefusal = status >= 400 && status < 500 && (code !== '' || status !== 404);
  return [isRefusal ? 'refused' : 'target', describe(failure)];
}

function connectionSentence(failure: RequestFailure): string {
  const { stage, code = 'UNKNOWN' } = failure;
  const timeout = code === 'ETIMEDOUT' ? TIMEOUTS[stage] : undefined;
  return (
    timeout ??
    SENTENCES_BY_CODE.get(code) ??
    `${STAGE_SENTENCES[stage] ?? 'The request failed'} (${code}).`
  );
}

function unprovenSentence({ status }: RequestFailure): string {
  return `The target answered with success (${status ?? '2xx'}) but without proof that it did what was asked: the endpoint is probably not an S3 service, or a proxy before it answers.`;
}

function describe({ status, code, requestId, message }: RequestFailure): string {
  const details = [
    ...(code === undefined ? [] : [`code ${code}`]),
    ...(requestId === undefined ? [] : [`request ${requestId}`]),
  ];
  const inner = details.length === 0 ? '' : ` (${details.join(', ')})`;
  return `The target answered ${status ?? 'with an error'}${inner}${message === undefined ? '.' : `: ${message}`}`;
}

function retry(origin: 'target' | 'object', reason: string): Extract<Outcome, { kind: 'retry' }> {
  return { kind: 'retry', origin, reason };
}

function clamp(retryAfterMs: number): number {
  return Math.min(Math.max(retryAfterMs, 0), RETRY_AFTER_MS_MAX);
}
