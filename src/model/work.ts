/** Where a commit may have made work: rows that are due, or targets that can be used or are to be tried. */
import type { BucketRef } from '../host.ts';
import type { LaneRef } from './row.ts';

export type Work =
  | { readonly kind: 'lanes'; readonly lanes: readonly LaneRef[] }
  | { readonly kind: 'bucket'; readonly bucket: BucketRef }
  | { readonly kind: 'anywhere' };

export const ANYWHERE: Work = { kind: 'anywhere' };
