/**
 * The storage server, as its plugin sees it: versions of keys in one bucket name, kept through every
 * crash. Its hooks are called by the schedule.
 */
import { Readable } from 'node:stream';
import type {
  Bucket,
  BucketRef,
  ByteRange,
  CommittedWrite,
  Host,
  ObjectHead,
  ObjectPage,
  ObjectRef,
  OpenedObject,
} from '../../src/host.ts';
import type { Row } from '../../src/model/row.ts';
import { SINGLE_PUT_BYTES_MAX } from '../../src/model/transfer-plan.ts';
import { Body } from './bodies.ts';

interface Version {
  readonly head: ObjectHead;
  readonly body: Body;
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
  /** Ids of versions. */
  readonly #replicas = new Set<string>();
  /** By version id: the entity tag that a target gives to it. */
  readonly #etagsAtTarget = new Map<string, string>();
  /** Asked for each body that is opened: whether the disk fails in the middle of it. */
  isReadFailing: () => boolean = () => false;

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

  isReplica(versionId: string): boolean {
    return this.#replicas.has(versionId);
  }

  /** Undefined for versions that there never were. */
  etagAtTarget({ versionId }: ObjectHead): string | undefined {
    return this.#etagsAtTarget.get(versionId);
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
   * @param wholeParts how large the object is that `put` puts (bodies.ts)
   */
  apply(
    key: string,
    change: Change,
    announcedAt: number,
    before: string | null = null,
    wholeParts = 0,
  ): CommittedWrite | null {
    const history = this.#histories.get(key) ?? {
      versions: [],
      lastOrder: 0,
      changedAt: 0,
      isReplica: false,
    };
    const order = history.lastOrder + 1;
    const versions = this.#changed(history.versions, key, change, { order, before, wholeParts });
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

  async openObject(
    { bucket, key, versionId }: ObjectRef,
    range?: ByteRange,
  ): Promise<OpenedObject | null> {
    if (bucket.id !== this.#bucket.id) return null;
    const versions = this.#histories.get(key)?.versions ?? [];
    const version = versions.find(({ head }) => head.versionId === versionId);
    if (version === undefined || version.head.deleteMarker) return null;
    const { head, body } = version;
    return { head, body: this.isReadFailing() ? brokenBody() : body.read(range) };
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
    {
      order,
      before,
      wholeParts,
    }: { readonly order: number; readonly before: string | null; readonly wholeParts: number },
  ): Version[] | null {
    const last = versions.at(-1);
    switch (change) {
      case 'put':
        return [...versions, this.#version(key, order, { wholeParts })];
      case 'replica':
        return [...versions, this.#version(key, order, { replica: true })];
      case 'delete':
        return [...versions, this.#version(key, order, { deleteMarker: true })];
      case 'remove-version':
        return last?.head.versionId === before ? versions.slice(0, -1) : null;
      case 'tag': {
        if (last === undefined || last.head.deleteMarker) return null;
        // Mostly other ones than before; an object that was just put has none.
        const isBare = order % (last.head.size > SINGLE_PUT_BYTES_MAX ? 3 : 2) === 0;
        const tags = isBare ? {} : { order: String(order) };
        return [...versions.slice(0, -1), { ...last, head: { ...last.head, order, tags } }];
      }
    }
  }

  #version(
    key: string,
    order: number,
    {
      deleteMarker = false,
      replica = false,
      wholeParts = 0,
    }: { deleteMarker?: boolean; replica?: boolean; wholeParts?: number },
  ): Version {
    this.#versions += 1;
    const versionId = `v${this.#versions}`;
    this.#owners.set(versionId, this.#bucket.id);
    const body = new Body(deleteMarker ? '' : `${this.#bucket.id}/${key}/${versionId}`, wholeParts);
    if (replica) this.#replicas.add(versionId);
    this.#etagsAtTarget.set(versionId, body.etagAtTarget);
    return {
      body,
      head: {
        key,
        versionId,
        order,
        deleteMarker,
        replica,
        size: body.size,
        etag: body.etag,
        lastModified: 0,
        systemHeaders: {},
        userMetadata: deleteMarker ? {} : { version: versionId },
        tags: {},
      },
    };
  }
}

function brokenBody(): Readable {
  return new Readable({
    read() {
      this.destroy(new Error('EIO'));
    },
  });
}
