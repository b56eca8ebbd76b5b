/**
 * One random history of a bucket: carries out each step on the object store and on the model, and
 * compares what they hold and what replication was told.
 */
import { strict as assert } from 'node:assert';
import type { BucketRecord } from '../../../src/server/buckets.ts';
import type { ObjectStore } from '../../../src/server/objects/object-store.ts';
import { bodyOf, readText, rejectsWith, type Fixture, type Recorded } from './object-fixture.ts';
import { byBytes, VersioningModel, type ModelEvent } from './versioning-model.ts';

export const KEYS = [
  'a',
  'a/',
  'a/b',
  'a/b/c',
  'a\u0000',
  'a/\u0000',
  'b//c',
  '/',
  'é',
  '\u{1f600}',
  '\uff5e',
];

export interface Entry {
  readonly key: string;
  /** Which of the versions that the key has or had; an index into a list that grows. */
  readonly version: number | undefined;
}

export type Tags = Record<string, string>;

export type Step =
  | { do: 'put'; key: string; tags: Tags }
  | { do: 'delete'; entry: Entry }
  | { do: 'deleteMany'; entries: Entry[] }
  | { do: 'copy'; source: Entry; key: string }
  | { do: 'tag'; entry: Entry; tags: Tags }
  | { do: 'version'; status: 'Enabled' | 'Suspended' };

export interface Listing {
  readonly prefix: string;
  readonly delimiter: string;
  readonly after: string;
  readonly max: number;
}

export class History {
  readonly model: VersioningModel;
  readonly #store: ObjectStore;
  readonly #buckets: Fixture['buckets'];
  readonly #bucket: BucketRecord;
  readonly #calls: Recorded[];
  /** The version ids that each key ever had. */
  readonly #known = new Map<string, string[]>();
  readonly #lastOrder = new Map<string, number>();
  #serial = 0;

  constructor(fixture: Fixture, bucket: BucketRecord, calls: Recorded[]) {
    this.#store = fixture.store;
    this.#buckets = fixture.buckets;
    this.#bucket = bucket;
    this.#calls = calls;
    this.model = new VersioningModel(bucket.versioning);
  }

  async run(next: Step): Promise<void> {
    this.#calls.length = 0;
    const events = await this.#run(next);
    await this.#checkEvents(events);
  }

  async #run(next: Step): Promise<ModelEvent[]> {
    switch (next.do) {
      case 'put':
        return await this.#put(next.key, next.tags);
      case 'delete': {
        const target = this.#resolve(next.entry);
        const result = await this.#store.delete(this.#bucket, target, { replica: false });
        return this.model.eventsOf([target.key], () => this.#modelDelete(target, result));
      }
      case 'deleteMany': {
        const targets = next.entries.map((one) => this.#resolve(one));
        const results = await this.#store.deleteMany(this.#bucket, targets, { replica: false });
        const keys = targets.map((target) => target.key);
        return this.model.eventsOf(keys, () => {
          targets.forEach((target, index) => this.#modelDelete(target, results[index]!));
        });
      }
      case 'copy':
        return await this.#copy(next.source, next.key);
      case 'tag':
        return await this.#tag(next.entry, next.tags);
      case 'version':
        await this.#buckets.setVersioning(this.#bucket.name, next.status);
        this.model.versioning = next.status;
        return [];
    }
  }

  async #put(key: string, tags: Tags): Promise<ModelEvent[]> {
    this.#serial += 1;
    const content = `content ${this.#serial}`;
    const head = await this.#store.put(this.#bucket, key, bodyOf(content, { tags }));
    return this.#modelInsert(key, head.versionId, content, tags);
  }

  async #copy(source: Entry, key: string): Promise<ModelEvent[]> {
    const from = this.#resolve(source);
    const found = this.#find(from);
    const input = { source: { bucket: this.#bucket, ...from }, replica: false };
    const copy = this.#store.copy(this.#bucket, key, input);
    if (found === undefined || found.deleteMarker) {
      await rejectsWith(this.#missing(from, found), copy);
      return [];
    }
    const { head, sourceVersionId } = await copy;
    assert.equal(sourceVersionId, found.versionId);
    return this.#modelInsert(key, head.versionId, found.content, found.tags);
  }

  async #tag(entry: Entry, tags: Tags): Promise<ModelEvent[]> {
    const target = this.#resolve(entry);
    const found = this.#find(target);
    const { key, ...version } = target;
    const put = this.#store.putTags(this.#bucket, key, tags, { ...version, replica: false });
    if (found === undefined || found.deleteMarker) {
      await rejectsWith(this.#missing(target, found), put);
      return [];
    }
    await put;
    return this.model.eventsOf([key], () => this.model.replace(key, found.versionId, tags));
  }

  #modelInsert(key: string, versionId: string, content: string, tags: Tags) {
    assert.equal(versionId === 'null', this.model.makesNullVersions);
    this.#remember(key, versionId);
    return this.model.eventsOf([key], () => {
      this.model.insert(key, { versionId, deleteMarker: false, content, tags });
    });
  }

  #modelDelete(
    target: { key: string; versionId?: string },
    result: { versionId?: string; deleteMarker: boolean },
  ): void {
    const { key, versionId } = target;
    if (versionId !== undefined) {
      const removed = this.model.remove(key, versionId);
      assert.deepEqual(result, { versionId, deleteMarker: removed?.deleteMarker ?? false });
    } else if (this.model.versioning === 'Disabled') {
      this.model.remove(key, 'null');
      assert.deepEqual(result, { deleteMarker: false });
    } else {
      assert.equal(result.versionId === 'null', this.model.makesNullVersions);
      assert(result.deleteMarker);
      const id = result.versionId!;
      this.#remember(key, id);
      this.model.insert(key, { versionId: id, deleteMarker: true, content: '', tags: {} });
    }
  }

  async #checkEvents(events: readonly ModelEvent[]): Promise<void> {
    assert.equal(this.#calls.length, this.#calls.length === 0 ? 0 : 1);
    const [call] = this.#calls;
    if (call?.outcome === 'abandoned') {
      assert.deepEqual(events, []);
      return;
    }
    const announced = call?.announced ?? [];
    const committed = call?.outcome ?? [];
    const ref = { id: this.#bucket.id, name: this.#bucket.name };
    assert.deepEqual(
      announced.map(({ key, operation, before }) => [key, operation, before?.versionId ?? null]),
      events.map(({ key, operation, before }) => [key, operation, before]),
    );
    assert.deepEqual(
      committed.map(({ order: _order, ...write }) => write),
      events.map(({ key, operation, versionId }) => {
        return { bucket: ref, key, operation, versionId, replica: false };
      }),
    );
    for (const [index, { before, key }] of announced.entries()) {
      const order = committed[index]!.order;
      const last = this.#lastOrder.get(key) ?? 0;
      assert(order > last, 'the order of a key grows');
      if (before !== null) assert.equal(before.order, last, 'what was announced was current');
      this.#lastOrder.set(key, order);
      const head = await this.#store.headCurrent(this.#bucket, key);
      if (head !== null) assert.equal(head.order, order, 'the head shows the order of the event');
    }
  }

  /** All versions with all that they are. */
  async checkVersions(): Promise<void> {
    const { versions } = await this.#store.listVersions(this.#bucket, {});
    const expected = this.model.keys().flatMap((key) =>
      this.model.of(key).map((version, index) => ({
        key,
        versionId: version.versionId,
        deleteMarker: version.deleteMarker,
        size: version.content.length,
        tags: version.tags,
        isLatest: index === 0,
      })),
    );
    const actual = versions.map(({ key, versionId, deleteMarker, size, tags, isLatest }) => {
      return { key, versionId, deleteMarker, size, tags, isLatest };
    });
    assert.deepEqual(actual, expected);
    assert.equal(this.#store.isEmpty(this.#bucket), expected.length === 0);
  }

  async checkContents(): Promise<void> {
    for (const key of KEYS) {
      const open = await this.#store.open(this.#bucket, key);
      const current = this.model.current(key);
      assert.equal(open?.body && (await readText(open.body)), current?.content);
      for (const version of this.model.of(key)) {
        if (version.deleteMarker) continue;
        const ref = { bucket: this.#bucket, key, versionId: version.versionId };
        const opened = await this.#store.openObject(ref);
        assert.equal(await readText(opened?.body), version.content);
      }
    }
  }

  async checkListing(options: Listing) {
    const { prefix, delimiter, after, max } = options;
    const page = await this.#store.list(this.#bucket, { prefix, delimiter, after, maxKeys: max });
    const entries = [...page.objects.map((head) => head.key), ...page.commonPrefixes];
    const expected = this.model.list(options);
    assert.deepEqual(entries.sort(byBytes), [...expected.entries].sort(byBytes));
    assert.equal(page.next, expected.truncated ? expected.entries.at(-1) : undefined);
    assert.deepEqual(
      await this.#pagedVersions(options),
      this.model.listVersions({ ...options, max: 1000 }).entries,
    );
    const hostPage = await this.#store.listCurrent(this.#bucket, prefix, after);
    const all = this.model.list({ prefix, delimiter: '', after, max: 1000 });
    assert.deepEqual(
      hostPage.objects.map((head) => head.key),
      all.entries,
    );
  }

  /** Versions and common prefixes page by page, in the order of the listing. */
  async #pagedVersions(options: Listing) {
    const { prefix, delimiter, after, max } = options;
    const entries: string[] = [];
    let next: { key: string; versionId?: string } | undefined = { key: after };
    while (next !== undefined) {
      const marker: object =
        next.versionId === undefined ? {} : { versionIdMarker: next.versionId };
      const input = {
        prefix,
        delimiter,
        keyMarker: next.key,
        maxKeys: Math.max(max, 1),
        ...marker,
      };
      const page = await this.#store.listVersions(this.#bucket, input);
      const rows = [
        ...page.versions.map(({ key, versionId }) => ({ key, entry: `${key}:${versionId}` })),
        ...page.commonPrefixes.map((group) => ({ key: group, entry: group })),
      ];
      // Of one key the versions stay as they came; JavaScript's sort is stable.
      entries.push(...rows.sort((a, b) => byBytes(a.key, b.key)).map((row) => row.entry));
      next = page.next;
    }
    return entries;
  }

  #resolve({ key, version }: Entry): { key: string; versionId?: string } {
    if (version === undefined) return { key };
    const known = this.#known.get(key) ?? [];
    return { key, versionId: known[version % (known.length + 1)] ?? 'null' };
  }

  #find({ key, versionId }: { key: string; versionId?: string }) {
    if (versionId === undefined) return this.model.of(key)[0];
    return this.model.of(key).find((version) => version.versionId === versionId);
  }

  #missing({ versionId }: { versionId?: string }, found: object | undefined) {
    if (versionId === undefined) return 'NoSuchKey';
    return found === undefined ? 'NoSuchVersion' : 'MethodNotAllowed';
  }

  #remember(key: string, versionId: string): void {
    const known = this.#known.get(key) ?? [];
    this.#known.set(key, known.includes(versionId) ? known : [...known, versionId]);
  }
}
