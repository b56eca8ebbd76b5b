/**
 * A real server and the Swift that it replicates to: the two ends of a suite, and what the suite does
 * at each. The server may be killed and started again in between.
 */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateBucketCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type PutObjectCommandInput,
  type S3Client,
} from '@aws-sdk/client-s3';
import type { TaskAnswer } from '../../src/model/task.ts';
import { admin, startSite, type Site } from './replication-site.ts';
import { connectS3, createVersionedBucket, readObject, type ReadObject } from './s3-sdk.ts';
import { requireGivenService, type GivenService } from './swift-service.ts';
import { until } from './until.ts';

const DELIVERY_TIMEOUT_MS = 60_000;

export class SwiftPair {
  readonly swift: GivenService = requireGivenService();
  readonly swiftS3: S3Client = connectS3(this.swift.account);
  readonly #directory = mkdtempSync(join(tmpdir(), 'alarik-swift-replication-'));
  #site: Site | null = null;
  #siteS3: S3Client | null = null;

  get site(): Site {
    if (this.#site === null) throw new Error('The server was not started.');
    return this.#site;
  }

  get siteS3(): S3Client {
    if (this.#siteS3 === null) throw new Error('The server was not started.');
    return this.#siteS3;
  }

  /** Also after a kill: the data directory is the same, the address is not. */
  async start(): Promise<void> {
    this.#siteS3?.destroy();
    const dataDirectory = this.#directory;
    this.#site = await startSite({ dataDirectory, name: 'source', region: 'eu-north-1' });
    this.#siteS3 = connectS3(this.#site.account);
  }

  async close(): Promise<void> {
    this.swiftS3.destroy();
    this.#siteS3?.destroy();
    await this.#site?.process.stop();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /** A versioned bucket at the server, and one of that name at Swift. */
  async newBucket(): Promise<string> {
    const bucket = await this.newSourceBucket();
    await this.createAtSwift(bucket);
    return bucket;
  }

  async newSourceBucket(): Promise<string> {
    const bucket = `suite-${randomUUID()}`;
    await createVersionedBucket(this.siteS3, bucket);
    return bucket;
  }

  async createAtSwift(bucket: string): Promise<void> {
    await this.swiftS3.send(new CreateBucketCommand({ Bucket: bucket }));
  }

  /** Puts an object into the server. */
  async put(
    bucket: string,
    key: string,
    body: string | Buffer,
    more: Partial<PutObjectCommandInput> = {},
  ): Promise<void> {
    const object = { Bucket: bucket, Key: key, Body: body, ...more };
    await this.siteS3.send(new PutObjectCommand(object));
  }

  /** Waits until Swift has the object with this body. */
  async arrives(bucket: string, key: string, body: string | Buffer): Promise<ReadObject> {
    return await until(
      async () => {
        const object = await readObject(this.swiftS3, bucket, key);
        return object?.body.equals(Buffer.from(body)) === true && object;
      },
      `${JSON.stringify(key)} in ${bucket}`,
      DELIVERY_TIMEOUT_MS,
    );
  }

  async keysAtSwift(bucket: string): Promise<number> {
    const listed = await this.swiftS3.send(new ListObjectsV2Command({ Bucket: bucket }));
    return listed.KeyCount ?? 0;
  }

  async pendingTasks(bucket: string): Promise<readonly TaskAnswer[]> {
    const path = `${bucket}/replication/tasks?state=pending`;
    const answer = await admin(this.site, 'GET', path);
    return (answer.json as { readonly tasks: readonly TaskAnswer[] }).tasks;
  }
}
