/**
 * Skips interim answers (1xx), which say nothing about the outcome (RFC 9110 section 15.2), and tells
 * when the answer itself begins.
 *
 * undici destroys a connection on a `100 Continue` that it did not ask for; proxies send one all the
 * same, some of them because they asked for it on the other side. 101 is left to undici, which refuses
 * it: what follows is another protocol. The bytes are taken out of what undici reads from its socket,
 * between the moment when a request is written and the first byte of its answer; what comes at other
 * times is undici's to judge.
 *
 * States:
 *
 *     passing → deciding (a request is written) → passing (the answer begins)
 *                  ↕
 *               skipping (within the head of an interim answer)
 *
 * Invariant: no more than INTERIM_BYTES_MAX are skipped for one request, and at most 16 bytes held.
 */
import type { Socket } from 'node:net';

export const INTERIM_BYTES_MAX = 64 * 1024;

/** A status line up to the blank after its status. */
const STATUS_LINE_START = /^HTTP\/\d\.\d (1\d\d)[ \r\n]$/;
const STATUS_LINE_START_BYTES = 'HTTP/1.1 100 '.length;
const [LF, CR] = [0x0a, 0x0d];
const NOTHING = Buffer.alloc(0);

export interface AnswerGate {
  /** A request is about to be written; `onAnswer` is called once, with the first bytes of its answer. */
  arm(onAnswer: () => void): void;
}

/** @param socket one that only undici reads, and by `read()` without a size */
export function skipInterimAnswers(socket: Socket): AnswerGate {
  const filter = new InterimFilter();
  const read = socket.read.bind(socket) as (size?: number) => unknown;
  socket.read = (size?: number): unknown => {
    if (size !== undefined) return read(size);
    for (;;) {
      const chunk = read();
      if (!Buffer.isBuffer(chunk)) return chunk;
      const passed = filter.pass(chunk);
      if (passed === null) {
        const error = new Error('Interim answers without end.');
        socket.destroy(Object.assign(error, { code: 'INTERIM_ANSWERS' }));
        return null;
      }
      // Null would tell undici that there is nothing more to read, although there may be.
      if (passed.length > 0) return passed;
    }
  };
  return filter;
}

class InterimFilter implements AnswerGate {
  #state: 'passing' | 'deciding' | 'skipping' = 'passing';
  #onAnswer: () => void = () => undefined;
  /** The beginning of a status line that is not known to be one of either kind. */
  #held: Buffer = NOTHING;
  #skippedBytes = 0;
  /** Of the header line that is skipped, without its end. */
  #lineBytes = 0;

  arm(onAnswer: () => void): void {
    this.#state = 'deciding';
    this.#onAnswer = onAnswer;
    this.#held = NOTHING;
    this.#skippedBytes = 0;
  }

  /** What of the bytes is the answer's; null where too much of them is not. */
  pass(chunk: Buffer): Buffer | null {
    if (this.#isPassing()) return chunk;
    let rest = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    this.#held = NOTHING;
    while (rest.length > 0) {
      rest = this.#state === 'skipping' ? this.#skip(rest) : this.#decide(rest);
      if (this.#skippedBytes > INTERIM_BYTES_MAX) return null;
      if (this.#isPassing()) return rest;
    }
    return NOTHING;
  }

  #isPassing(): boolean {
    return this.#state === 'passing';
  }

  /** Skips to behind the empty line that ends the head, or to the end of the bytes. */
  #skip(bytes: Buffer): Buffer {
    for (let at = 0; at < bytes.length; at += 1) {
      const byte = bytes[at];
      if (byte === LF) {
        if (this.#lineBytes === 0) {
          this.#state = 'deciding';
          this.#skippedBytes += at + 1;
          return bytes.subarray(at + 1);
        }
        this.#lineBytes = 0;
      } else if (byte !== CR) {
        this.#lineBytes += 1;
      }
    }
    this.#skippedBytes += bytes.length;
    return NOTHING;
  }

  /** What is left to look at: all from the status line on, or nothing where more is needed to tell. */
  #decide(bytes: Buffer): Buffer {
    let start = 0;
    // Line ends before a status line are not part of it.
    while (start < bytes.length && (bytes[start] === CR || bytes[start] === LF)) start += 1;
    this.#skippedBytes += start;
    const head = start === 0 ? bytes : bytes.subarray(start);
    if (head.length === 0) return NOTHING;
    switch (kindOf(head)) {
      case 'interim':
        this.#state = 'skipping';
        this.#lineBytes = 0;
        return head;
      case 'unknown':
        this.#held = Buffer.from(head);
        return NOTHING;
      case 'answer':
        this.#state = 'passing';
        this.#onAnswer();
        return head;
    }
  }
}

function kindOf(bytes: Buffer): 'answer' | 'interim' | 'unknown' {
  const start = bytes.toString('latin1', 0, STATUS_LINE_START_BYTES);
  if (start.length < STATUS_LINE_START_BYTES) return mayBeInterim(start) ? 'unknown' : 'answer';
  const status = STATUS_LINE_START.exec(start)?.[1];
  return status === undefined || status === '101' ? 'answer' : 'interim';
}

function mayBeInterim(start: string): boolean {
  const pattern = 'HTTP/d.d 1dd';
  return [...start].every((character, at) =>
    pattern[at] === 'd' ? character >= '0' && character <= '9' : character === pattern[at],
  );
}
