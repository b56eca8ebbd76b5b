/**
 * What each key may show: a change that was acknowledged has happened, one without an answer may have.
 * A key has one writer, so that its changes follow each other.
 */
import { createHash } from 'node:crypto';
import { GetObjectTaggingCommand, type S3Client } from '@aws-sdk/client-s3';
import { readObject } from '../support/s3-sdk.ts';

/** An object by all that replication must carry over; null where there is none. */
export type Shown = {
  readonly hash: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tag: string | null;
} | null;

export class Keys {
  /** All that a key may show. */
  readonly #possible = new Map<string, readonly Shown[]>();
  /** Changes that were acknowledged, and those that got no answer. */
  acknowledged = 0;
  unanswered = 0;

  possible(key: string): readonly Shown[] {
    return this.#possible.get(key) ?? [null];
  }

  acknowledge(key: string, change: (before: Shown) => Shown): void {
    this.acknowledged += 1;
    this.#possible.set(key, distinct(this.possible(key).map(change)));
  }

  doubt(key: string, change: (before: Shown) => Shown): void {
    this.unanswered += 1;
    const before = this.possible(key);
    this.#possible.set(key, distinct([...before, ...before.map(change)]));
  }

  /** Where an answer told whether the key has an object. */
  learn(key: string, exists: boolean): void {
    const possible = this.possible(key).filter((shown) => (shown !== null) === exists);
    // None is left where the server lost what it had acknowledged: the end of the loop finds it.
    if (possible.length > 0) this.#possible.set(key, possible);
  }

  allows(key: string, shown: Shown): boolean {
    return this.possible(key).some((one) => isSame(one, shown));
  }
}

export function isSame(one: Shown, other: Shown): boolean {
  return describe(one) === describe(other);
}

export function hashOf(body: Buffer): string {
  return createHash('sha256').update(body).digest('hex');
}

/** Reads it through the S3 API, signed, to the last byte. */
export async function read(s3: S3Client, bucket: string, key: string): Promise<Shown> {
  const object = await readObject(s3, bucket, key);
  if (object === null) return null;
  const tagging = new GetObjectTaggingCommand({ Bucket: bucket, Key: key });
  const { TagSet = [] } = await s3.send(tagging);
  const { body, metadata } = object;
  return { hash: hashOf(body), metadata, tag: TagSet[0]?.Value ?? null };
}

function distinct(shown: readonly Shown[]): readonly Shown[] {
  return [...new Map(shown.map((one) => [describe(one), one])).values()];
}

function describe(shown: Shown): string {
  if (shown === null) return 'nothing';
  const { hash, metadata, tag } = shown;
  return JSON.stringify([hash, Object.entries(metadata).sort(), tag]);
}
