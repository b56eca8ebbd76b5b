/**
 * Peers of the engine: the same objects, read the same way, sent to the same target by a loop of as
 * many workers as a lane has requests in flight, without a queue, an order or a retry.
 *
 * `sdk` uses @aws-sdk/client-s3; `undici` signs by itself and gives a pool of connections the
 * request. Both send a hash of the body that the target could verify, as the engine does.
 */
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import type { Host } from '../../src/host.ts';
import { serveSubject } from '../harness/subject.ts';
import { runEach } from '../harness/writers.ts';
import { bucketName } from './bench-host.ts';
import { objectsOf, objectKey, type ObjectSet } from './object-set.ts';
import { createBareClient, CREDENTIALS, REGION, TARGET_BUCKET } from './signed-requests.ts';

interface Parameters {
  readonly kind: 'sdk' | 'undici';
  readonly endpoint: string;
  readonly workers: number;
  readonly objects: ObjectSet;
}

export interface DeliveryRun {
  readonly count: number;
}

type Put = (key: string, body: Buffer) => Promise<void>;

await serveSubject(async ({ kind, endpoint, workers, objects }: Parameters) => {
  const host = objectsOf(objects);
  const put = kind === 'sdk' ? sdkPut(endpoint, workers) : undiciPut(endpoint, workers);
  return {
    ready: null,
    async run(parameters) {
      const { count } = parameters as DeliveryRun;
      await runEach(count, workers, async (n) => {
        const key = objectKey(n);
        await put(key, await readObject(host, key));
      });
      return null;
    },
    close: async () => undefined,
  };
});

async function readObject(host: Pick<Host, 'openObject'>, key: string): Promise<Buffer> {
  const name = bucketName(0);
  const ref = { bucket: { id: `id-of-${name}`, name }, key, versionId: 'v1' };
  const opened = await host.openObject(ref);
  if (opened === null) throw new Error(`There is no ${key}.`);
  const chunks: Buffer[] = [];
  for await (const chunk of opened.body) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function sdkPut(endpoint: string, workers: number): Put {
  const client = new S3Client({
    endpoint,
    region: REGION,
    credentials: CREDENTIALS,
    forcePathStyle: true,
    maxAttempts: 1,
    requestHandler: { httpAgent: { keepAlive: true, maxSockets: workers } },
  });
  return async (key, body) => {
    await client.send(
      new PutObjectCommand({
        Bucket: TARGET_BUCKET,
        Key: key,
        Body: body,
        ContentType: 'application/octet-stream',
      }),
    );
  };
}

function undiciPut(endpoint: string, workers: number): Put {
  const send = createBareClient(endpoint, workers);
  return async (key, body) => {
    await send({ method: 'PUT', key, body });
  };
}
