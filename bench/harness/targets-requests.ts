/** Requests to the admin API as finished HTTP text, for the load generator. */
import { AUTHORIZATION, bucketName } from '../subjects/bench-host.ts';

export const CLIENTS = 64;
/** One bucket per client, so that clients do not wait for one another's records. */
export const BUCKETS = 64;

export function targetsPath(n: number): string {
  return `/api/v1/buckets/${bucketName(n)}/replication/targets`;
}

/** A list of one target, the commonest: a new secret each time, so that it is sealed each time. */
export function targetsBody(n: number): string {
  return JSON.stringify({
    targets: [
      {
        id: `11111111-1111-4111-8111-${String(n).padStart(12, '0')}`,
        endpoint: 'https://remote.example.com',
        targetBucket: 'backup-bucket',
        accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
        secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
        region: 'us-east-1',
        enabled: true,
      },
    ],
  });
}

export function putRequests(): string[] {
  return Array.from({ length: BUCKETS }, (_, n) => {
    const body = targetsBody(n);
    return (
      `PUT ${targetsPath(n)} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: ${AUTHORIZATION}\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
    );
  });
}

export function getRequests(): string[] {
  return Array.from(
    { length: BUCKETS },
    (_, n) =>
      `GET ${targetsPath(n)} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: ${AUTHORIZATION}\r\n\r\n`,
  );
}
