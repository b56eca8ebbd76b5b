/** Changes random keys of its own, one change after the other, of a server that comes and goes. */
import { DeleteObjectCommand, PutObjectCommand, PutObjectTaggingCommand } from '@aws-sdk/client-s3';
import type { S3Client } from '@aws-sdk/client-s3';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../simulation/random.ts';
import { uploadInParts } from '../support/s3-sdk.ts';
import { hashOf, type Keys, type Shown } from './keys.ts';

const MIB = 1024 * 1024;
const PART_BYTES = 5 * MIB;
/** The last is above what the engine sends whole (model/transfer-plan.ts). */
const SIZES = [0, 1, 1_000, 70_000, MIB, 8 * MIB + 1] as const;
const WEIGHTS = { put: 60, large: 2, parts: 2, delete: 18, tag: 18 };
const PAUSE_MS_MAX = 60;
const REFUSED_PAUSE_MS = 100;

export interface WriterOptions {
  /** Of the present process: it may be dead already. */
  readonly s3: () => S3Client;
  readonly bucket: string;
  readonly keys: readonly string[];
  readonly ledger: Keys;
  readonly random: Random;
}

type Change = (before: Shown) => Shown;

export class Writer {
  readonly #options: WriterOptions;
  #serial = 0;

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  async write(signal: AbortSignal): Promise<void> {
    const { keys, random } = this.#options;
    while (!signal.aborted) {
      await this.#change(random.pick(keys));
      await sleep(random.between(0, PAUSE_MS_MAX));
    }
  }

  async #change(key: string): Promise<void> {
    const { s3, bucket, random } = this.#options;
    const object = { Bucket: bucket, Key: key };
    switch (random.weighted(WEIGHTS)) {
      case 'put':
        return await this.#put(key, random.pick(SIZES.slice(0, -1)));
      case 'large':
        return await this.#put(key, SIZES[SIZES.length - 1]!);
      case 'parts':
        return await this.#put(key, PART_BYTES + 1_000, true);
      case 'delete':
        return await this.#settle(key, s3().send(new DeleteObjectCommand(object)), () => null);
      case 'tag': {
        const tag = `tag-${this.#serial++}`;
        const Tagging = { TagSet: [{ Key: 'colour', Value: tag }] };
        const sent = s3().send(new PutObjectTaggingCommand({ ...object, Tagging }));
        return await this.#settle(key, sent, (before) => before && { ...before, tag });
      }
    }
  }

  async #put(key: string, size: number, isInParts = false): Promise<void> {
    const { s3, bucket } = this.#options;
    this.#serial += 1;
    const name = `${key} ${this.#serial}`;
    const body = Buffer.alloc(size, name);
    const metadata = { name };
    const sent = isInParts
      ? uploadInParts(s3(), bucket, key, body, { partBytes: PART_BYTES, metadata })
      : s3().send(
          new PutObjectCommand({ Bucket: bucket, Key: key, Body: body, Metadata: metadata }),
        );
    await this.#settle(key, sent, () => ({ hash: hashOf(body), metadata, tag: null }));
  }

  async #settle(key: string, sent: Promise<unknown>, change: Change): Promise<void> {
    const { ledger } = this.#options;
    try {
      await sent;
    } catch (error) {
      const { name, code } = error as NodeJS.ErrnoException;
      // No process was there to change anything.
      if (code === 'ECONNREFUSED') await sleep(REFUSED_PAUSE_MS);
      else if (name === 'NoSuchKey') ledger.learn(key, false);
      else ledger.doubt(key, change);
      return;
    }
    ledger.acknowledge(key, change);
    // Only an object has tags, so that there was one.
    if (ledger.possible(key).some((shown) => shown?.tag != null)) ledger.learn(key, true);
  }
}
