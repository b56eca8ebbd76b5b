/**
 * A disk with no byte left: deletes and saves of configurations go on, on what each environment has in
 * reserve, while writes that bring data are refused with the reason (minio#3856: nothing could be
 * removed, as removing needed room).
 */
import { closeSync, openSync, statfsSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { DeleteObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { unusedTailBytes } from '../../src/lmdb/page-usage.ts';
import { ruleBody, targetBody } from '../support/replication-bodies.ts';
import { admin, putTarget, startSite, type Site } from '../support/replication-site.ts';
import { connectS3, createVersionedBucket } from '../support/s3-sdk.ts';
import { until } from '../support/until.ts';

const BUCKET = 'reserve';
const OBJECTS = 100;
const SAVES = 40;
const RESERVE_BYTES_MIN = 1024 * 1024;
const BLOCK = 4096;

export interface ReserveResult {
  readonly refusals: readonly string[];
  readonly acceptedPuts: number;
  readonly reason: string;
  readonly isGood: boolean;
}

/** @param disk the small disk; nobody else may use it */
export async function runReserve(disk: string): Promise<ReserveResult> {
  const dataDirectory = join(disk, 'data');
  const site = await startSite({
    dataDirectory,
    name: 'reserve',
    region: 'eu-test-1',
  });
  const s3 = connectS3(site.account);
  await createVersionedBucket(s3, BUCKET);
  const targetId = await putTarget(site, BUCKET, targetBody({ endpoint: 'http://127.0.0.1:9' }));
  for (let n = 0; n < OBJECTS; n += 1) await put(s3, `key-${n}`);
  await until(
    () =>
      ['server', 'replication'].every(
        (folder) => unusedTailBytes(join(dataDirectory, folder, 'data.mdb')) >= RESERVE_BYTES_MIN,
      ),
    'the reserves',
  );
  const ballast = new Ballast(disk);
  const refusals: string[] = [];
  const attempt = async (what: string, work: () => Promise<unknown>): Promise<void> => {
    ballast.fill();
    await work().catch((error: unknown) => refusals.push(`${what}: ${String(error)}`));
  };
  for (let n = 0; n < OBJECTS; n += 1) {
    // In a bucket with versions a delete adds a marker: no body goes, and no block is given back.
    const command = new DeleteObjectCommand({ Bucket: BUCKET, Key: `key-${n}` });
    await attempt(`delete ${n}`, () => s3.send(command));
  }
  for (let n = 0; n < SAVES; n += 1) {
    await attempt(`save ${n}`, () => saveRule(site, targetId, `prefix-${n}/`));
  }
  ballast.fill();
  const { accepted: acceptedPuts, reason } = await putRefused(s3);
  ballast.remove();
  await until(
    () =>
      put(s3, 'later').then(
        () => true,
        () => false,
      ),
    'writes to be accepted',
  );
  const { code } = await site.process.stop();
  if (code !== 0) refusals.push(`the server ended with ${code}`);
  const isGood = refusals.length === 0 && acceptedPuts === 0 && reason.includes('nearly full');
  return { refusals, acceptedPuts, reason, isGood };
}

async function put(s3: S3Client, key: string): Promise<void> {
  await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: key }));
}

async function putRefused(s3: S3Client): Promise<{ accepted: number; reason: string }> {
  let reason = '';
  let accepted = 0;
  for (let n = 0; n < 5; n += 1) {
    await put(s3, `refused-${n}`).then(
      () => (accepted += 1),
      (error: unknown) => (reason = String(error)),
    );
  }
  return { accepted, reason };
}

async function saveRule(site: Site, targetId: string, prefix: string): Promise<void> {
  const path = `${BUCKET}/replication/rules`;
  const answer = await admin(site, 'PUT', path, { rules: [ruleBody({ targetId, prefix })] });
  if (answer.status !== 200) throw new Error(`${answer.status} ${answer.text}`);
}

/** Takes the disk's last block, again and again. */
class Ballast {
  readonly #disk: string;
  readonly #path: string;

  constructor(disk: string) {
    this.#disk = disk;
    this.#path = join(disk, 'ballast');
  }

  fill(): void {
    const file = openSync(this.#path, 'a', 0o600);
    try {
      for (let bytes = 1024 * 1024; bytes >= BLOCK;) {
        try {
          if (writeSync(file, Buffer.alloc(bytes)) < bytes) bytes /= 2;
        } catch {
          bytes /= 2;
        }
      }
    } finally {
      closeSync(file);
    }
    if (statfsSync(this.#disk).bavail > 0) throw new Error('the disk could not be filled');
  }

  remove(): void {
    unlinkSync(this.#path);
  }
}
