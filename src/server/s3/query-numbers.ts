/**
 * Numbers in query parameters, with S3's limits.
 */
import { S3Error } from './errors.ts';
import type { Query } from './request-target.ts';

const PAGE_MAX = 1000;
const PART_NUMBER_MAX = 10_000;

/** @throws S3Error InvalidArgument unless it is 1 to 10,000 */
export function readPartNumber(query: Query): number {
  return checkPartNumber(query.get('partNumber') ?? '');
}

/** @throws S3Error InvalidArgument unless it is 1 to 10,000 */
export function checkPartNumber(text: string): number {
  const value = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (value < 1 || value > PART_NUMBER_MAX) {
    throw new S3Error('InvalidArgument', { message: 'A part number is 1 to 10,000.' });
  }
  return value;
}

/** How many entries a page has: 0 to 1,000, and 1,000 for more. @throws S3Error InvalidArgument */
export function readPageSize(query: Query, name: string): number {
  return Math.min(readCount(query, name) ?? PAGE_MAX, PAGE_MAX);
}

/** A whole number of at most 10 digits; undefined where it is missing or empty. @throws S3Error InvalidArgument */
export function readCount(query: Query, name: string): number | undefined {
  const text = query.get(name);
  if (text === undefined || text === '') return undefined;
  if (/^\d{1,10}$/.test(text)) return Number(text);
  throw new S3Error('InvalidArgument', { message: `${name} must be a whole number.` });
}
