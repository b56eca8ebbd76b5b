/**
 * One request on one connection, and its answer: as a value, whatever the network does.
 *
 * Nothing is retried and no redirect is followed. An answer's body is read to 64 KiB; what is longer
 * is cut there and its connection given up.
 */
import type { Dispatcher } from 'undici';
import { ConnectFailure, errorCode } from './connector.ts';
import type { IdleWatch, Watched } from './idle-watch.ts';
import type { RequestBody, Sending } from './request-body.ts';
import type { Silence } from './silence.ts';
import type { Connection, TargetConnections } from './target-connections.ts';

export const ANSWER_BYTES_MAX = 64 * 1024;
/**
 * What an answer may take on the wire, with its head and the framing of its body. Bytes beyond are no
 * progress: a target that sends chunk extensions without end would keep a request alive for ever.
 * (Interim answers are never progress; interim-answers.ts bounds them.)
 */
const ANSWER_WIRE_BYTES_MAX = 1024 * 1024;

export interface WireRequest {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  /** With its query; goes on the wire as it is. */
  readonly path: string;
  /** Names and values in turn. */
  readonly headers: string[];
  readonly body: RequestBody;
  readonly slowWindowMs: number;
  /** Asked where the target falls silent after the last byte; without it, 30 s of silence end the request. */
  readonly silence?: Silence | undefined;
  readonly awaits: Parameters<Silence['begin']>[0];
  readonly signal?: AbortSignal | undefined;
}

/** Header values by lower-case name, one character per byte; repeated ones joined by commas. */
export type AnswerHeaders = Readonly<Partial<Record<string, string>>>;

export interface Answer {
  readonly status: number;
  readonly headers: AnswerHeaders;
  readonly body: Buffer;
  /** Whether the body was longer than what is in `body`. */
  readonly bodyCut: boolean;
  /** Whether the whole request may have been handed to the socket before the answer was complete. */
  readonly allSent: boolean;
  readonly fromPublicAddress: boolean;
}

/** No complete answer: at which stage, with node's or undici's code. */
export interface Breakdown {
  readonly stage: ConnectFailure['stage'] | 'transfer';
  readonly code: string;
  /** Whether the whole request may have been handed to the socket. */
  readonly allSent: boolean;
  /** How long the target had been let be silent, where that ended the request. */
  readonly silenceMs?: number;
}

export type Exchange =
  | { readonly answer: Answer; readonly breakdown?: never }
  | { readonly answer?: never; readonly breakdown: Breakdown };

const NEVER_SENT: Exchange = {
  breakdown: { stage: 'transfer', code: 'ABORT_ERR', allSent: false },
};

/** @throws SourceFailure where the body's source failed */
export async function exchange(
  connections: TargetConnections,
  watch: IdleWatch,
  request: WireRequest,
): Promise<Exchange> {
  const waiting = connections.acquire(request.signal);
  const connection = waiting instanceof Promise ? await waiting : waiting;
  if (connection === null) return NEVER_SENT;
  const sending = request.body.start();
  const running = new RunningExchange(connection, request, sending);
  watch.add(running);
  const onAbort = (): void => running.abort('ABORT_ERR');
  request.signal?.addEventListener('abort', onAbort);
  let result: Exchange;
  try {
    result = await running.run();
  } finally {
    request.signal?.removeEventListener('abort', onAbort);
    watch.delete(running);
    running.endSilence(false);
    if (running.abandoned) connections.discard(connection);
    else connections.release(connection);
  }
  const failure = sending.failure();
  if (failure !== null && result.answer === undefined) throw failure;
  return result;
}

class RunningExchange implements Watched, Dispatcher.DispatchHandler {
  readonly #connection: Connection;
  readonly #request: WireRequest;
  readonly #sending: Sending;
  #resolve: (result: Exchange) => void = () => undefined;
  #controller: Dispatcher.DispatchController | null = null;
  #abortCode: string | null = null;
  #status = 0;
  #headers: AnswerHeaders = {};
  readonly #chunks: Buffer[] = [];
  #bodyBytes = 0;
  /** What the socket had read when the request began. */
  #readBefore = 0;
  #hasAnswerBegun = false;
  #isSilenceGranted = false;
  /** Where silence ended the request: how long it was let be. */
  #silenceMs: number | null = null;
  /** Whether the connection may not be used again. */
  abandoned = false;

  constructor(connection: Connection, request: WireRequest, sending: Sending) {
    this.#connection = connection;
    this.#request = request;
    this.#sending = sending;
  }

  get slowWindowMs(): number {
    return this.#request.slowWindowMs;
  }

  run(): Promise<Exchange> {
    return new Promise((resolve) => {
      this.#resolve = resolve;
      const { method, path, headers, body } = this.#request;
      this.#connection.client.dispatch(
        {
          method,
          path,
          headers: withLength(headers, this.#sending, body.size),
          body: this.#sending.payload,
        },
        this,
      );
    });
  }

  abort(code: string): void {
    this.abandoned = true;
    this.#abortCode ??= code;
    if (this.#controller === null) void this.#connection.client.destroy();
    else this.#controller.abort(new Error('The request was given up.'));
  }

  bytesMoved(): number | null {
    const { socket } = this.#connection;
    if (this.#controller === null || socket === null) return null;
    // Interim answers are no progress: they say nothing, and could go on for ever.
    const read = this.#hasAnswerBegun
      ? Math.min(socket.bytesRead - this.#readBefore, ANSWER_WIRE_BYTES_MAX)
      : 0;
    return read + socket.bytesWritten - socket.writableLength;
  }

  isAwaitingAnswer(): boolean {
    return (
      !this.#hasAnswerBegun &&
      this.#sending.allHandedOver() &&
      this.#connection.socket?.writableLength === 0
    );
  }

  onSilence(): number | null {
    const { silence, awaits } = this.#request;
    const grantedMs = silence?.begin(awaits) ?? null;
    this.#isSilenceGranted = grantedMs !== null;
    return grantedMs;
  }

  onIdle(silenceMs: number | null): void {
    this.#silenceMs = silenceMs;
    this.endSilence(true);
    this.abort('ETIMEDOUT');
  }

  /** Tells whoever granted a long silence that it is over. */
  endSilence(ranOut: boolean): void {
    if (!this.#isSilenceGranted) return;
    this.#isSilenceGranted = false;
    this.#request.silence?.end(ranOut);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    const { socket, gate } = this.#connection;
    this.#readBefore = socket?.bytesRead ?? 0;
    gate?.arm(() => {
      this.#hasAnswerBegun = true;
      this.endSilence(false);
    });
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    this.#status = status;
    this.#headers = joinRepeated(headers);
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bodyBytes += chunk.length;
    const over = this.#bodyBytes - ANSWER_BYTES_MAX;
    // A copy: undici's chunk is a view of its read buffer.
    this.#chunks.push(Buffer.from(over > 0 ? chunk.subarray(0, chunk.length - over) : chunk));
    if (over <= 0) return;
    this.#settleAnswer();
    this.abort('ABORT_ERR');
  }

  onResponseEnd(): void {
    this.#settleAnswer();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    const started = this.#controller !== null;
    this.#resolve({
      breakdown: {
        stage: error instanceof ConnectFailure ? error.stage : 'transfer',
        code: this.#abortCode ?? (error instanceof ConnectFailure ? error.code : errorCode(error)),
        allSent: started && this.#sending.allHandedOver(),
        ...(this.#silenceMs === null ? {} : { silenceMs: this.#silenceMs }),
      },
    });
  }

  #settleAnswer(): void {
    this.#resolve({
      answer: {
        status: this.#status,
        headers: this.#headers,
        body: Buffer.concat(this.#chunks),
        bodyCut: this.#bodyBytes > ANSWER_BYTES_MAX,
        allSent: this.#sending.allHandedOver(),
        fromPublicAddress: this.#connection.isPublic,
      },
    });
  }
}

/** undici knows the length of a buffer by itself. */
function withLength(headers: string[], { payload }: Sending, size: number): string[] {
  const isKnown = payload === null || Buffer.isBuffer(payload);
  return isKnown ? headers : [...headers, 'content-length', String(size)];
}

function joinRepeated(headers: Record<string, string | string[] | undefined>): AnswerHeaders {
  const joined: Partial<Record<string, string>> = Object.create(null) as Record<string, string>;
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) joined[name] = typeof value === 'string' ? value : value.join(', ');
  }
  return joined;
}
