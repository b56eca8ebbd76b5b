/**
 * A remote service that refuses everything and repeats in its message all that it was sent, so that
 * whatever the engine sends would come back into errors, rows and logs.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface EchoingTarget {
  readonly url: string;
  /** Heads and bodies as they came. */
  readonly received: readonly string[];
  close(): void;
}

export async function startEchoingTarget(): Promise<EchoingTarget> {
  const received: string[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const head = `${request.method} ${request.url} ${request.rawHeaders.join(' ')}`;
      received.push(`${head}\n${Buffer.concat(chunks).toString('latin1')}`);
      response.writeHead(403, { 'content-type': 'application/xml', 'x-amz-request-id': 'ECHO' });
      response.end(`<Error><Code>AccessDenied</Code><Message>${escapeXml(head)}</Message></Error>`);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
