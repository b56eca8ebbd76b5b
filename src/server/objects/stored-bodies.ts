/**
 * Every file that records of the object store name, for those who copy the store or check a copy: bodies
 * of versions and parts of uploads.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Segment, Tables } from './tables.ts';

/** Below the data directory. */
export const BODIES_FOLDER = 'objects';

/** Where a file lies below the folder of bodies. */
export function placeOf(file: string): string {
  return join(file.slice(0, 2), file);
}

export function* storedFiles({ versions, parts, bodies }: Tables): Generator<Segment> {
  for (const { value } of versions.getRange()) {
    const { body, size } = value;
    if (body === null) continue;
    if (body.segmented) yield* bodies.get(body.id) ?? [];
    else yield [body.id, size];
  }
  for (const { value } of parts.getRange()) {
    if (value.file !== null) yield [value.file, value.size];
  }
}

/** The first file that is missing or of another size; null where all are there. */
export async function findMissingBody(tables: Tables, directory: string): Promise<string | null> {
  for (const [file, bytes] of storedFiles(tables)) {
    const found = await stat(join(directory, placeOf(file))).catch(() => null);
    if (found?.size !== bytes) return placeOf(file);
  }
  return null;
}
