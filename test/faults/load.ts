/**
 * What clients do while a disk fails: puts, deletes and saves, some of whose buckets are delivered; keeps
 * what was acknowledged, to count what is lost.
 */
import { DeleteObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import type { FakeTarget } from '../support/fake-target/fake-target.ts';
import { ruleBody, targetBody } from '../support/replication-bodies.ts';
import type { Site } from '../support/replication-site.ts';
import { connectS3, createVersionedBucket, readObject } from '../support/s3-sdk.ts';

const BUCKET = 'faults';
/** Goes to a target that takes everything. */
const DELIVERED = 'delivered';
/** Of what never ends, on any machine; verdicts go by the control (control.ts). */
const GIVE_UP_MS = 60_000;
const ANSWER_LIMIT_MS = 20_000;
const WRITERS = 4;

export const systemClock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs: number, callback: () => void): () => void {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};

export class Load {
  #site: Site;
  #s3: S3Client;
  #stopped = false;
  #next = 0;
  #watched = 0;
  #targets: { id: string }[] = [];
  readonly #kept = new Map<string, string>();
  readonly #target: FakeTarget;
  refused = 0;

  constructor(site: Site, target: FakeTarget) {
    this.#site = site;
    this.#target = target;
    this.#s3 = connectS3(site.account);
  }

  get acknowledged(): number {
    return this.#kept.size;
  }

  use(site: Site): void {
    this.#site = site;
    this.#s3 = connectS3(site.account);
  }

  async prepare(): Promise<void> {
    await createVersionedBucket(this.#s3, BUCKET);
    // Nothing listens there: rows stay, and claims and outcomes are written all the time.
    this.#targets = await this.#save('targets', [targetBody({ endpoint: 'http://127.0.0.1:9' })]);
    await this.#save('rules', [ruleBody({ targetId: this.#targets[0]!.id })]);
    await createVersionedBucket(this.#s3, DELIVERED);
    const good = targetBody({ endpoint: this.#target.url });
    const [saved] = await this.#save('targets', [good], DELIVERED);
    await this.#save('rules', [ruleBody({ targetId: saved!.id })], DELIVERED);
  }

  async run(): Promise<void> {
    await Promise.all([...Array.from({ length: WRITERS }, () => this.#write()), this.#saveOften()]);
  }

  stop(): void {
    this.#stopped = true;
  }

  /**
   * Milliseconds until a put, a save and a delivery of what was put since have succeeded; null where they
   * do not.
   */
  async waitUntilNormal(hasEnded: () => boolean = () => false): Promise<number | null> {
    const startedAt = performance.now();
    const key = `watched-${(this.#watched += 1)}`;
    let isPut = false;
    let isSaved = false;
    let isWritten = false;
    // A request that is not answered must not keep the others from being asked.
    const within = (work: Promise<boolean>): Promise<boolean> =>
      Promise.race([work, pause(ANSWER_LIMIT_MS).then(() => false)]);
    while (performance.now() - startedAt < GIVE_UP_MS && !hasEnded()) {
      isPut ||= await within(this.#put());
      isSaved ||= await within(this.#trySave());
      isWritten ||= await within(this.#putOne(DELIVERED, key, key));
      const isDelivered = this.#target.objects.has(key);
      if (isPut && isSaved && isDelivered) return Math.round(performance.now() - startedAt);
      await pause(10);
    }
    return null;
  }

  async countLost(): Promise<number> {
    let lost = 0;
    for (const [key, content] of this.#kept) {
      const read = await readObject(this.#s3, BUCKET, key);
      if (read?.body.toString() !== content) lost += 1;
    }
    return lost;
  }

  async #write(): Promise<void> {
    while (!this.#stopped) {
      if (!(await this.#put())) await pause(20);
      if (this.#next % 5 === 0) await this.#deleteOne();
    }
  }

  async #saveOften(): Promise<void> {
    while (!this.#stopped) {
      await this.#trySave();
      await pause(50);
    }
  }

  async #put(): Promise<boolean> {
    const key = `key-${(this.#next += 1)}`;
    const content = `${key} `.repeat(200);
    const isDone = await this.#putOne(BUCKET, key, content);
    if (isDone) this.#kept.set(key, content);
    return isDone;
  }

  async #putOne(bucket: string, key: string, content: string): Promise<boolean> {
    try {
      await this.#s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: content }));
      return true;
    } catch {
      this.refused += 1;
      return false;
    }
  }

  async #deleteOne(): Promise<void> {
    const [key] = this.#kept.keys();
    if (key === undefined || this.#kept.size < 20) return;
    this.#kept.delete(key);
    const command = new DeleteObjectCommand({ Bucket: BUCKET, Key: key });
    await this.#s3.send(command).catch(() => (this.refused += 1));
  }

  async #trySave(): Promise<boolean> {
    try {
      await this.#save('targets', this.#targets);
      return true;
    } catch {
      this.refused += 1;
      return false;
    }
  }

  async #save(
    kind: 'targets' | 'rules',
    list: readonly object[],
    bucket = BUCKET,
  ): Promise<{ id: string }[]> {
    const base = `${this.#site.process.url}/api/v1/buckets/${bucket}/replication`;
    const response = await fetch(`${base}/${kind}`, {
      method: 'PUT',
      headers: {
        Authorization: `Bearer ${this.#site.token}`,
        'Content-Type': 'application/json',
      },
      body: JSON.stringify({ [kind]: list }),
    });
    const text = await response.text();
    if (response.status !== 200) throw new Error(`${response.status} ${text}`);
    return (JSON.parse(text) as Record<string, { id: string }[]>)[kind]!;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
