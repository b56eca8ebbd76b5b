/**
 * Versions of objects in memory, for hosts whose plugin shall deliver them, and the write path of such
 * a host: announce, store, report.
 */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type {
  BucketRef,
  ByteRange,
  CommittedWrite,
  ObjectHead,
  ObjectRef,
  OpenedObject,
  Plugin,
} from '../../src/host.ts';
import type { HeldObjects } from './koa-host.ts';

interface Version {
  readonly head: ObjectHead;
  readonly body: Buffer;
}

export class ObjectShelf implements HeldObjects {
  /** By bucket id and key, oldest first. */
  readonly #versions = new Map<string, Version[]>();
  #order = 0;

  /** Writes an object, or where `body` is null a delete marker, and resolves when the plugin knows. */
  async write(
    plugin: Plugin,
    bucket: BucketRef,
    key: string,
    body: Buffer | string | null,
    fields: Partial<ObjectHead> = {},
  ): Promise<void> {
    const operation = body === null ? 'delete' : 'put';
    const before = await this.headCurrent(bucket, key);
    const announcement = await plugin.announce?.([{ bucket, key, operation, before }]);
    const { order, versionId } = this.#store(bucket, key, body, fields);
    const written = { bucket, key, operation, versionId, order, replica: false } as const;
    await announcement?.committed([written satisfies CommittedWrite]);
  }

  /** As if the version had never been; nobody is told. */
  remove(bucket: BucketRef, key: string): void {
    this.#versions.delete(nameOf(bucket, key));
  }

  async headCurrent(bucket: BucketRef, key: string): Promise<ObjectHead | null> {
    return this.#versions.get(nameOf(bucket, key))?.at(-1)?.head ?? null;
  }

  async openObject(
    { bucket, key, versionId }: ObjectRef,
    range?: ByteRange,
  ): Promise<OpenedObject | null> {
    const versions = this.#versions.get(nameOf(bucket, key)) ?? [];
    const version = versions.find(({ head }) => head.versionId === versionId);
    if (version === undefined || version.head.deleteMarker) return null;
    const { head, body } = version;
    const bytes = range === undefined ? body : body.subarray(range.start, range.end + 1);
    return { head, body: Readable.from([bytes]) };
  }

  async listCurrent(bucket: BucketRef): ReturnType<HeldObjects['listCurrent']> {
    const objects = [...this.#versions]
      .filter(([name]) => name.startsWith(nameOf(bucket, '')))
      .flatMap(([, versions]) => versions.at(-1)?.head ?? [])
      .filter(({ deleteMarker }) => !deleteMarker);
    return { objects };
  }

  #store(
    bucket: BucketRef,
    key: string,
    content: Buffer | string | null,
    fields: Partial<ObjectHead>,
  ): ObjectHead {
    this.#order += 1;
    const body = Buffer.from(content ?? '');
    const head: ObjectHead = {
      key,
      versionId: `v${this.#order}`,
      order: this.#order,
      deleteMarker: content === null,
      replica: false,
      size: body.length,
      etag: createHash('md5').update(body).digest('hex'),
      lastModified: 0,
      systemHeaders: {},
      userMetadata: {},
      tags: {},
      ...fields,
    };
    const name = nameOf(bucket, key);
    this.#versions.set(name, [...(this.#versions.get(name) ?? []), { head, body }]);
    return head;
  }
}

function nameOf({ id }: BucketRef, key: string): string {
  return `${id}\n${key}`;
}
