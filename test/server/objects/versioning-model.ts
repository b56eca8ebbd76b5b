/**
 * S3's rules for versions, current objects and listings, written down as plainly as possible to
 * compare the object store with: lists in memory, filtered and sorted anew for every question.
 */
import type { VersioningStatus } from '../../../src/host.ts';

export interface ModelVersion {
  readonly versionId: string;
  readonly deleteMarker: boolean;
  readonly content: string;
  readonly tags: Readonly<Record<string, string>>;
}

export interface ModelEvent {
  readonly key: string;
  readonly operation: 'put' | 'delete';
  /** The version id of what was current before, if that was an object. */
  readonly before: string | null;
  readonly versionId: string | null;
}

export interface ModelPage {
  /** `key`, or `key:versionId` in a listing of versions, or the common prefix. */
  readonly entries: readonly string[];
  readonly truncated: boolean;
}

export class VersioningModel {
  versioning: VersioningStatus;
  /** Of each key, the newest first. */
  readonly #versions = new Map<string, ModelVersion[]>();

  constructor(versioning: VersioningStatus) {
    this.versioning = versioning;
  }

  of(key: string): readonly ModelVersion[] {
    return this.#versions.get(key) ?? [];
  }

  current(key: string): ModelVersion | null {
    const [newest] = this.of(key);
    return newest === undefined || newest.deleteMarker ? null : newest;
  }

  /** Whether the next version of the bucket is the null version. */
  get makesNullVersions(): boolean {
    return this.versioning !== 'Enabled';
  }

  insert(key: string, version: ModelVersion): void {
    const others = this.of(key).filter(({ versionId }) => versionId !== version.versionId);
    this.#versions.set(key, [version, ...others]);
  }

  remove(key: string, versionId: string): ModelVersion | undefined {
    const removed = this.of(key).find((version) => version.versionId === versionId);
    this.#versions.set(
      key,
      this.of(key).filter((version) => version !== removed),
    );
    return removed;
  }

  replace(key: string, versionId: string, tags: ModelVersion['tags']): void {
    const versions = this.of(key).map((version) =>
      version.versionId === versionId ? { ...version, tags } : version,
    );
    this.#versions.set(key, versions);
  }

  /**
   * What replication hears of a change of these keys. A version is what it is by being made: one that
   * replaces another under the same id is an event, whatever it holds, since it is newer.
   */
  eventsOf(keys: readonly string[], work: () => void): ModelEvent[] {
    const distinct = [...new Set(keys)];
    const before = new Map(distinct.map((key) => [key, this.current(key)]));
    work();
    return distinct.flatMap((key): ModelEvent[] => {
      const was = before.get(key) ?? null;
      const now = this.current(key);
      if (was === now) return [];
      const operation = now === null ? 'delete' : 'put';
      const versionId = this.of(key)[0]?.versionId ?? null;
      return [{ key, operation, before: was?.versionId ?? null, versionId }];
    });
  }

  keys(): string[] {
    return [...this.#versions.keys()].filter((key) => this.of(key).length > 0).sort(byBytes);
  }

  list(options: { prefix: string; delimiter: string; after: string; max: number }): ModelPage {
    const keys = this.keys().filter((key) => this.current(key) !== null);
    return rolledUp(
      keys.map((key) => ({ key, entry: key })),
      options,
    );
  }

  listVersions(options: { prefix: string; delimiter: string; after: string; max: number }) {
    const rows = this.keys().flatMap((key) =>
      this.of(key).map(({ versionId }) => ({ key, entry: `${key}:${versionId}` })),
    );
    return rolledUp(rows, options);
  }
}

function rolledUp(
  rows: readonly { key: string; entry: string }[],
  options: { prefix: string; delimiter: string; after: string; max: number },
): ModelPage {
  const { prefix, delimiter, after, max } = options;
  const entries: string[] = [];
  for (const { key, entry } of rows) {
    if (!key.startsWith(prefix)) continue;
    const at = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
    const group = at === -1 ? null : key.slice(0, at + delimiter.length);
    if (byBytes(key, after) <= 0 || group === after) continue;
    const shown = group ?? entry;
    if (entries.at(-1) !== shown) entries.push(shown);
  }
  return { entries: entries.slice(0, max), truncated: max > 0 && entries.length > max };
}

export function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
