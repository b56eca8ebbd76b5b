/**
 * Lets a request be refused before its body is sent.
 *
 * Left alone, Node answers `Expect: 100-continue` before any handler runs, and a client then sends
 * gigabytes to learn that its signature is wrong. The interim answer is held back until an operation
 * reads the body.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';

const awaiting = new WeakSet<IncomingMessage>();

/** Call once for each server that runs the S3 middleware. */
export function deferContinue(server: Server): void {
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    awaiting.add(request);
    server.emit('request', request, response);
  });
}

/** Asks the client for the body, where it waits for being asked. */
export function continueRequest(request: IncomingMessage, response: ServerResponse): void {
  if (awaiting.delete(request)) response.writeContinue();
}

/** Whether the client still waits and so has sent nothing of its body. */
export function awaitsContinue(request: IncomingMessage): boolean {
  return awaiting.has(request);
}
