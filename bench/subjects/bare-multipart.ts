/** Peer of the engine for a large object: reads parts of the file, hashes, signs and sends them. */
import type { Host } from '../../src/host.ts';
import { serveSubject } from '../harness/subject.ts';
import { runEach } from '../harness/writers.ts';
import { bucketName } from './bench-host.ts';
import { objectsOf, objectKey, type ObjectSet } from './object-set.ts';
import { createBareClient } from './signed-requests.ts';

interface Parameters {
  readonly endpoint: string;
  readonly partBytes: number;
  readonly partsInFlight: number;
  readonly objects: ObjectSet;
}

const NO_BODY = Buffer.alloc(0);

await serveSubject(async ({ endpoint, partBytes, partsInFlight, objects }: Parameters) => {
  const host = objectsOf(objects);
  const send = createBareClient(endpoint, partsInFlight);
  const key = objectKey(0);
  return {
    ready: null,
    async run() {
      const created = await send({ method: 'POST', key, query: 'uploads=', body: NO_BODY });
      const uploadId = /<UploadId>([^<]+)</.exec(created.text)?.[1] ?? '';
      const etags: string[] = [];
      await runEach(Math.ceil(objects.bytes / partBytes), partsInFlight, async (n) => {
        const end = Math.min(objects.bytes, (n + 1) * partBytes) - 1;
        const body = await readRange(host, key, n * partBytes, end);
        const query = `partNumber=${n + 1}&uploadId=${uploadId}`;
        etags[n] = (await send({ method: 'PUT', key, query, body })).etag;
      });
      const list = etags.map(
        (etag, n) => `<Part><PartNumber>${n + 1}</PartNumber><ETag>${etag}</ETag></Part>`,
      );
      const body = Buffer.from(
        `<CompleteMultipartUpload>${list.join('')}</CompleteMultipartUpload>`,
      );
      await send({ method: 'POST', key, query: `uploadId=${uploadId}`, body });
      return null;
    },
    close: async () => undefined,
  };
});

async function readRange(
  host: Pick<Host, 'openObject'>,
  key: string,
  start: number,
  end: number,
): Promise<Buffer> {
  const name = bucketName(0);
  const ref = { bucket: { id: `id-of-${name}`, name }, key, versionId: 'v1' };
  const opened = await host.openObject(ref, { start, end });
  if (opened === null) throw new Error(`There is no ${key}.`);
  const chunks: Buffer[] = [];
  for await (const chunk of opened.body) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
