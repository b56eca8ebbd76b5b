/**
 * Bodies on disk: `objects/<2 hex digits>/<32 hex digits>`, names that are random and never come
 * from a user; what is being received lies in `objects/incoming/` until it is whole and synced.
 *
 *     received --rename--> unreferenced --commit--> named by a record --commit--> unreferenced --unlink--> gone
 *
 * Invariant: a file outside `incoming` is named by a record, or by a row of the table `unreferenced`
 * that was on disk before the file got its name. The transaction that makes a record name a body
 * removes the row, and the one that removes the record puts it back, so after a crash at any point
 * the start has to look only at that table and at `incoming`, never at all files.
 *
 * A body that is being read is *pinned* and unlinked when its last reader is done. Pins and the
 * sweep at start assume one process at a time (see instance-lock.ts).
 */
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { DiskGuard } from '../disk-guard.ts';
import { BodyDigests, type DigestedBody } from './body-digests.ts';
import { exists, inBatches, linkOrCopy, syncDirectory } from './durable-files.ts';
import type { BodyRef, Segment, Tables } from './tables.ts';
import type { BodyInput } from './types.ts';

const INCOMING = 'incoming';
const FOLDERS = Array.from({ length: 256 }, (_, index) => index.toString(16).padStart(2, '0'));
const ID_BYTES = 16;

export interface ReceivedBody extends DigestedBody {
  /** Null where there are no bytes. */
  readonly body: BodyRef | null;
}

interface Pin {
  readers: number;
  doomed: BodyRef | null;
}

export interface BodyFilesOptions {
  readonly tables: Tables;
  /** Absolute, `<data>/objects`. */
  readonly directory: string;
  readonly disk: Pick<DiskGuard, 'assertRoom'>;
  readonly randomBytes: (size: number) => Buffer;
}

export class BodyFiles {
  readonly #tables: Tables;
  readonly #directory: string;
  readonly #disk: Pick<DiskGuard, 'assertRoom'>;
  readonly #randomBytes: (size: number) => Buffer;
  readonly #pins = new Map<string, Pin>();
  /** Removals that nobody awaits: those of bodies whose last reader is done. */
  readonly #background = new Set<Promise<void>>();
  #closed = false;

  constructor(options: BodyFilesOptions) {
    this.#tables = options.tables;
    this.#directory = options.directory;
    this.#disk = options.disk;
    this.#randomBytes = options.randomBytes;
  }

  /** Makes the folders and removes what a crash left. Call once, before anything else. */
  async start(): Promise<void> {
    await this.#makeFolders();
    const incoming = join(this.#directory, INCOMING);
    for (const name of await readdir(incoming)) await rm(join(incoming, name));
    const left = [...this.#tables.unreferenced.getRange()];
    for (const { key: id, value } of left) await this.#unlink({ id, segmented: value.segmented });
  }

  newId(): string {
    return this.#randomBytes(ID_BYTES).toString('hex');
  }

  pathOf(file: string): string {
    return join(this.#directory, file.slice(0, 2), file);
  }

  /** The files of a body, in order. */
  segmentsOf(body: BodyRef | null, size: number): readonly Segment[] {
    if (body === null) return [];
    return body.segmented ? (this.#tables.bodies.get(body.id) ?? []) : [[body.id, size]];
  }

  /**
   * Writes a body to disk, durable and unreferenced: let a record name it, or {@link discard} it.
   * Memory stays at one chunk. Nothing is left behind when it throws.
   *
   * @throws ObjectError IncompleteBody, BadDigest, XAmzContentSHA256Mismatch, EntityTooLarge,
   *   InsufficientStorage; StorageError; and whatever the body and the disk throw
   */
  async receive(input: BodyInput): Promise<ReceivedBody> {
    this.#disk.assertRoom();
    const id = this.newId();
    const temporary = join(this.#directory, INCOMING, id);
    const digests = new BodyDigests(input);
    const intent = this.#intend([{ id, segmented: false }]);
    // It is awaited below, which may be long after it failed.
    intent.catch(() => undefined);
    try {
      const hasBytes = await writeFileFrom(input.body, temporary, digests);
      const digested = digests.finish();
      await intent;
      if (!hasBytes) {
        this.#forget(id);
        return { ...digested, body: null };
      }
      await rename(temporary, this.pathOf(id));
      await this.#syncFolders([id]);
      return { ...digested, body: { id, segmented: false } };
    } catch (error) {
      await rm(temporary, { force: true });
      await intent.then(() => this.discard({ id, segmented: false }));
      throw error;
    }
  }

  /** A second body of the same bytes, durable and unreferenced. Pin the source meanwhile. */
  async duplicate(body: BodyRef | null, size: number): Promise<BodyRef | null> {
    if (body === null) return null;
    this.#disk.assertRoom();
    const copy: BodyRef = { id: this.newId(), segmented: body.segmented };
    const source = this.segmentsOf(body, size);
    const target = source.map(([, bytes]): Segment => {
      return [body.segmented ? this.newId() : copy.id, bytes];
    });
    await this.#intend([copy], body.segmented ? target : undefined);
    try {
      await inBatches(source, async ([file], index) => {
        await linkOrCopy(this.pathOf(file), this.pathOf(target[index]![0]));
      });
      await this.#syncFolders(target.map(([file]) => file));
    } catch (error) {
      await this.discard(copy);
      throw error;
    }
    return copy;
  }

  /** Keeps the files of a body until the returned function is called (once more changes nothing). */
  pin(body: BodyRef | null): () => void {
    if (body === null) return () => undefined;
    const pin = this.#pins.get(body.id) ?? { readers: 0, doomed: null };
    this.#pins.set(body.id, pin);
    pin.readers += 1;
    let released = false;
    return () => {
      if (released) return;
      released = true;
      pin.readers -= 1;
      if (pin.readers > 0) return;
      this.#pins.delete(body.id);
      if (pin.doomed !== null) this.#discardInBackground(pin.doomed);
    };
  }

  /** Waits for removals under way; from then on the tables are not touched from here. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#background);
  }

  /**
   * Removes the files of a body that no record names any more (that commit is on disk). What cannot
   * be removed now is removed at the next start, so this never throws.
   */
  async discard(body: BodyRef | null): Promise<void> {
    if (body === null) return;
    const pin = this.#pins.get(body.id);
    if (pin !== undefined) {
      pin.doomed = body;
      return;
    }
    try {
      // A commit that failed at its flush has happened all the same: its record names the body.
      if (!this.#tables.unreferenced.doesExist(body.id)) return;
      await this.#unlink(body);
    } catch {
      // Its row in `unreferenced` stays, which is what the next start goes by.
    }
  }

  #discardInBackground(body: BodyRef): void {
    if (this.#closed) return;
    const removal = this.discard(body).finally(() => this.#background.delete(removal));
    this.#background.add(removal);
  }

  async #unlink(body: BodyRef): Promise<void> {
    await inBatches(this.segmentsOf(body, 0), async ([file]) => {
      await rm(this.pathOf(file), { force: true });
    });
    this.#forget(body.id, body.segmented);
  }

  /** Not awaited: where it is lost, the next start finds nothing to unlink and forgets again. */
  #forget(id: string, segmented = false): void {
    const { bodies, unreferenced } = this.#tables;
    void this.#tables.commits
      .run(() => {
        unreferenced.removeSync(id);
        if (segmented) bodies.removeSync(id);
      })
      .catch(() => undefined);
  }

  async #intend(refs: readonly BodyRef[], segments?: readonly Segment[]): Promise<void> {
    const { commits, bodies, unreferenced } = this.#tables;
    await commits.run(() => {
      for (const { id, segmented } of refs) {
        void unreferenced.put(id, { segmented });
        if (segments !== undefined) void bodies.put(id, segments);
      }
    });
  }

  async #makeFolders(): Promise<void> {
    if (await exists(join(this.#directory, INCOMING))) return;
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    for (const folder of FOLDERS) {
      await mkdir(join(this.#directory, folder), { recursive: true, mode: 0o700 });
    }
    await syncDirectory(this.#directory);
    // Last, because its presence says that all others are there.
    await mkdir(join(this.#directory, INCOMING), { mode: 0o700 });
    await syncDirectory(this.#directory);
    await syncDirectory(join(this.#directory, '..'));
  }

  async #syncFolders(files: readonly string[]): Promise<void> {
    const folders = [...new Set(files.map((file) => file.slice(0, 2)))];
    await inBatches(folders, (folder) => syncDirectory(join(this.#directory, folder)));
  }
}

/** Returns whether there were bytes; without any, no file is made. */
async function writeFileFrom(
  body: AsyncIterable<Uint8Array>,
  path: string,
  digests: BodyDigests,
): Promise<boolean> {
  let file: Awaited<ReturnType<typeof open>> | null = null;
  try {
    for await (const chunk of body) {
      if (chunk.length === 0) continue;
      file ??= await open(path, 'wx', 0o600);
      const written = file.writeFile(chunk);
      try {
        digests.update(chunk);
      } finally {
        await written;
      }
    }
    await file?.datasync();
    return file !== null;
  } finally {
    await file?.close();
  }
}
