/**
 * The storage server, as its plugin sees it: versions of keys in one bucket name, kept through every
 * crash. Its hooks are called by the schedule.
 */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type {
  Bucket,
  BucketRef,
  CommittedWrite,
  Host,
  ObjectHead,
  ObjectPage,
  ObjectRef,
  OpenedObject,
} from '../../src/host.ts';
import type { Row } from '../../src/model/row.ts';

interface Version {
  readonly head: ObjectHead;
  readonly body: Buffer;
}

interface History {
  /** Oldest first; the last one is current. */
  versions: Version[];
  lastOrder: number;
  /** When the last change was announced, monotonic. */
  changedAt: number;
  /** Whether the last change came by replication. */
  isReplica: boolean;
}

export type Change = 'put' | 'delete' | 'remove-version' | 'tag' | 'replica';

export class SimulatedHost implements Pick<
  Host,
  'findBucket' | 'openObject' | 'headCurrent' | 'listCurrent'
> {
  readonly #histories = new Map<string, History>();
  #bucket: Bucket = { id: 'bucket-1', name: 'photos', ownerId: 'owner', versioning: 'Enabled' };
  #generation = 1;
  #versions = 0;
  /** By version id: the id of the bucket that it was made in. */
  readonly #owners = new Map<string, string>();

  get bucket(): Bucket {
    return this.#bucket;
  }

  /** The bucket is deleted with all that is in it, and made again by somebody. */
  recreateBucket(): void {
    this.#generation += 1;
    this.#bucket = { ...this.#bucket, id: `bucket-${this.#generation}` };
    this.#histories.clear();
  }

  keys(): readonly string[] {
    return [...this.#histories.keys()];
  }

  history(key: string): Readonly<History> | undefined {
    return this.#histories.get(key);
  }

  current(key: string): ObjectHead | null {
    return this.#histories.get(key)?.versions.at(-1)?.head ?? null;
  }

  /** The id of the bucket that a version was made in. */
  ownerOf(versionId: string): string | undefined {
    return this.#owners.get(versionId);
  }

  hasVersion({ key, versionId, lane }: Pick<Row, 'key' | 'versionId' | 'lane'>): boolean {
    if (lane.bucket.id !== this.#bucket.id) return false;
    const versions = this.#histories.get(key)?.versions ?? [];
    return versions.some(({ head }) => head.versionId === versionId && !head.deleteMarker);
  }

  /**
   * Commits a change; null where it changes nothing that is current.
   *
   * @param before the version that was current when the change was announced: the one that
   *   `remove-version` removes
   */
  apply(
    key: string,
    change: Change,
    announcedAt: number,
    before: string | null = null,
  ): CommittedWrite | null {
    const history = this.#histories.get(key) ?? {
      versions: [],
      lastOrder: 0,
      changedAt: 0,
      isReplica: false,
    };
    const order = history.lastOrder + 1;
    const versions = this.#changed(history.versions, key, change, order, before);
    if (versions === null) return null;
    const isReplica = change === 'replica';
    this.#histories.set(key, { versions, lastOrder: order, changedAt: announcedAt, isReplica });
    const head = versions.at(-1)?.head ?? null;
    return {
      bucket: this.#bucket,
      key,
      operation: head === null || head.deleteMarker ? 'delete' : 'put',
      versionId: head?.versionId ?? null,
      order,
      replica: isReplica,
    };
  }

  async findBucket(name: string): Promise<Bucket | null> {
    return name === this.#bucket.name ? this.#bucket : null;
  }

  async headCurrent(bucket: BucketRef, key: string): Promise<ObjectHead | null> {
    return bucket.id === this.#bucket.id ? this.current(key) : null;
  }

  async openObject({ bucket, key, versionId }: ObjectRef): Promise<OpenedObject | null> {
    if (bucket.id !== this.#bucket.id) return null;
    const versions = this.#histories.get(key)?.versions ?? [];
    const version = versions.find(({ head }) => head.versionId === versionId);
    if (version === undefined || version.head.deleteMarker) return null;
    return { head: version.head, body: Readable.from([version.body]) };
  }

  async listCurrent(bucket: BucketRef, prefix: string, after = ''): Promise<ObjectPage> {
    if (bucket.id !== this.#bucket.id) return { objects: [] };
    const objects = [...this.#histories.keys()]
      .filter((key) => key.startsWith(prefix) && key > after)
      .sort()
      .flatMap((key) => this.current(key) ?? [])
      .filter((head) => !head.deleteMarker);
    const page = objects.slice(0, 2);
    const last = page.at(-1);
    return last !== undefined && page.length < objects.length
      ? { objects: page, next: last.key }
      : { objects: page };
  }

  #changed(
    versions: readonly Version[],
    key: string,
    change: Change,
    order: number,
    before: string | null,
  ): Version[] | null {
    const last = versions.at(-1);
    switch (change) {
      case 'put':
      case 'replica':
        return [...versions, this.#version(key, order, { replica: change === 'replica' })];
      case 'delete':
        return [...versions, this.#version(key, order, { deleteMarker: true })];
      case 'remove-version':
        return last?.head.versionId === before ? versions.slice(0, -1) : null;
      case 'tag': {
        if (last === undefined || last.head.deleteMarker) return null;
        const tags = order % 2 === 0 ? {} : { order: String(order) };
        return [...versions.slice(0, -1), { ...last, head: { ...last.head, order, tags } }];
      }
    }
  }

  #version(
    key: string,
    order: number,
    { deleteMarker = false, replica = false }: { deleteMarker?: boolean; replica?: boolean },
  ): Version {
    this.#versions += 1;
    const versionId = `v${this.#versions}`;
    this.#owners.set(versionId, this.#bucket.id);
    const body = deleteMarker
      ? Buffer.alloc(0)
      : Buffer.from(`${this.#bucket.id}/${key}/${versionId}`);
    return {
      body,
      head: {
        key,
        versionId,
        order,
        deleteMarker,
        replica,
        size: body.length,
        etag: createHash('md5').update(body).digest('hex'),
        lastModified: 0,
        systemHeaders: {},
        userMetadata: deleteMarker ? {} : { version: versionId },
        tags: {},
      },
    };
  }
}
