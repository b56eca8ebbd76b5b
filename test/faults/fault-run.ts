/**
 * One real server with the real plugin whose disk fails under load. Counts what must be zero: ends of
 * the process and acknowledged objects that cannot be read, while it runs and after a kill.
 */
import { DeleteObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { targetBody, ruleBody } from '../support/replication-bodies.ts';
import { startSite, type Site } from '../support/replication-site.ts';
import { connectS3, createVersionedBucket, readObject } from '../support/s3-sdk.ts';

const BUCKET = 'faults';
const FAULT_MS = 2_500;
const NORMAL_MS_MAX = 2_000;
const GIVE_UP_MS = 6_000;
const WRITERS = 4;

export interface FaultCase {
  readonly dataDirectory: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly begin: () => void;
  readonly end: () => void;
  /** The disk fails in LMDB's header: only a restart helps, and nothing may be lost. */
  readonly needsRestart: boolean;
}

export interface FaultResult {
  readonly ended: number;
  readonly lost: number;
  readonly acknowledged: number;
  readonly refused: number;
  /** Until a put and a save succeed after the end of the fault; null where the server had ended. */
  readonly normalAfterMs: number | null;
  readonly isGood: boolean;
}

export async function runFault(fault: FaultCase): Promise<FaultResult> {
  const options = { ...fault, name: 'faults', region: 'eu-test-1' };
  let site = await startSite(options);
  let ended = 0;
  void site.process.exited.then(() => (ended += 1));
  const load = new Load(site);
  await load.prepare();
  const running = load.run();
  await pause(FAULT_MS / 2);
  fault.begin();
  await pause(FAULT_MS);
  const refused = load.refused;
  fault.end();
  const normalAfterMs = ended === 0 ? await load.waitUntilNormal(() => ended > 0) : null;
  load.stop();
  await running;
  let lost = ended === 0 ? await load.countLost() : 0;
  const endedEarly = ended;
  await site.process.kill();
  site = await startSite({ ...options, environment: {} });
  load.use(site);
  lost += await load.countLost();
  await site.process.kill();
  const isNormal = normalAfterMs !== null && normalAfterMs <= NORMAL_MS_MAX;
  const isAlive = endedEarly === 0 && isNormal;
  return {
    ended: endedEarly,
    lost,
    acknowledged: load.acknowledged,
    refused,
    normalAfterMs,
    isGood: lost === 0 && refused > 0 && (isAlive || fault.needsRestart),
  };
}

class Load {
  #site: Site;
  #s3: S3Client;
  #stopped = false;
  #next = 0;
  #targets: { id: string }[] = [];
  readonly #kept = new Map<string, string>();
  refused = 0;

  constructor(site: Site) {
    this.#site = site;
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
  }

  async run(): Promise<void> {
    await Promise.all([...Array.from({ length: WRITERS }, () => this.#write()), this.#saveOften()]);
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Milliseconds until a put and a save have succeeded. */
  async waitUntilNormal(hasEnded: () => boolean): Promise<number | null> {
    const startedAt = performance.now();
    while (performance.now() - startedAt < GIVE_UP_MS && !hasEnded()) {
      const done = (await this.#put()) && (await this.#trySave());
      if (done) return Math.round(performance.now() - startedAt);
      await pause(50);
    }
    return hasEnded() ? null : GIVE_UP_MS;
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
    try {
      await this.#s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: content }));
      this.#kept.set(key, content);
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

  async #save(kind: 'targets' | 'rules', list: readonly object[]): Promise<{ id: string }[]> {
    const base = `${this.#site.process.url}/api/v1/buckets/${BUCKET}/replication`;
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
