/**
 * Gives DELETE requests a `content-length: 0`.
 *
 * Some services wait for a body otherwise (OpenStack Swift does so for 20 s and then answers 500),
 * and undici takes the header out of a DELETE without a body, as RFC 9110 section 8.6 allows. It
 * writes such a request as one string, which is completed here on its way into the socket. Should a
 * later undici write it in another way, then the header is missing again and nothing else breaks.
 */
import type { Socket } from 'node:net';

const END = '\r\n\r\n';

/** @param socket one that only undici writes to */
export function sendDeleteLength(socket: Socket): void {
  const write = socket.write.bind(socket) as (...parameters: unknown[]) => boolean;
  socket.write = (...parameters: unknown[]): boolean => {
    const [head, ...rest] = parameters;
    return write(typeof head === 'string' ? withDeleteLength(head) : head, ...rest);
  };
}

function withDeleteLength(head: string): string {
  const lacksLength =
    head.startsWith('DELETE ') &&
    head.endsWith(END) &&
    !/\r\n(?:content-length|transfer-encoding):/i.test(head);
  return lacksLength ? `${head.slice(0, -END.length)}\r\ncontent-length: 0${END}` : head;
}
