/**
 * What a fake target may do with a request besides answering as S3 does. A reaction is a few lines of
 * its own where none of these fits.
 */
import type { Socket } from 'node:net';
import { answerBytes, type TargetAnswer } from './answer.ts';
import type { ReceivedRequest } from './received-request.ts';

/** One request, and the socket that it came on. */
export interface Exchange {
  readonly request: ReceivedRequest;
  readonly socket: Socket;
  /** Applies the request to what the target keeps, once, and returns S3's answer. */
  readonly apply: () => TargetAnswer;
  /** Resolves after so much of the target's time. */
  readonly pass: (delayMs: number) => Promise<void>;
}

/** Undefined: apply it and answer as S3 does. */
export type Reaction = TargetAnswer | ((exchange: Exchange) => void | Promise<void>) | undefined;

export async function react(reaction: Reaction, exchange: Exchange): Promise<void> {
  if (typeof reaction === 'function') return reaction(exchange);
  const { socket, request } = exchange;
  const answer = reaction ?? exchange.apply();
  if (socket.writable) socket.write(answerBytes(answer, request.method));
  if (answer.headers?.connection === 'close') socket.end();
}

/** Nothing, ever; what was asked is not done either. */
export const stall: Reaction = () => undefined;

/** RST. */
export const reset: Reaction = ({ socket }) => void socket.resetAndDestroy();

/** FIN. */
export const finish: Reaction = ({ socket }) => void socket.end();

/** Does what was asked, and then something else than saying so. */
export function applied(then: Reaction): Reaction {
  return (exchange) => {
    exchange.apply();
    return react(then, exchange);
  };
}

export function thinking(delayMs: number, then?: Reaction): Reaction {
  return async (exchange) => {
    await exchange.pass(delayMs);
    await react(then, exchange);
  };
}

/** These bytes before the answer, for instance interim answers. */
export function preceded(bytes: string, then?: Reaction): Reaction {
  return async (exchange) => {
    exchange.socket.write(bytes, 'latin1');
    await react(then, exchange);
  };
}

/** The bytes of the answer in pieces, and a pause before each. */
export function dripping(pieceBytes: number, pauseMs: number, answer?: TargetAnswer): Reaction {
  return async ({ socket, request, apply, pass }) => {
    const bytes = answerBytes(answer ?? apply(), request.method);
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      await pass(pauseMs);
      if (socket.writable) socket.write(bytes.subarray(at, at + pieceBytes));
    }
  };
}

/** S3's answer with some of it changed. */
export function altered(alter: (answer: TargetAnswer) => TargetAnswer): Reaction {
  return (exchange) => react(alter(exchange.apply()), exchange);
}

/** The answer in another protocol's clothes, and the end of the connection after it. */
export const inHttp10: Reaction = ({ socket, request, apply }) => {
  const { headers, ...rest } = apply();
  socket.end(answerBytes({ ...rest, headers: { ...headers } }, request.method, 'HTTP/1.0'));
};

/** The answer, and then an end of the connection that the client was not told of. */
export function closedAfterwards(how: 'fin' | 'rst', answer?: TargetAnswer): Reaction {
  return ({ socket, request, apply }) => {
    socket.write(answerBytes(answer ?? apply(), request.method), () =>
      how === 'fin' ? socket.end() : socket.resetAndDestroy(),
    );
  };
}
