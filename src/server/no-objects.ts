/**
 * Stands in for the object store and the S3 API in a server that offers neither: no bucket has an
 * object, and every S3 path is answered with 404.
 */
import type { Middleware } from 'koa';
import { serverError } from './errors.ts';
import type { ServerObjects } from './storage-server.ts';

export const noObjects: ServerObjects = {
  isEmpty: () => true,
  dropUploads: async () => undefined,
  openObject: async () => null,
  headCurrent: async () => null,
  listCurrent: async () => ({ objects: [] }),
  replicateThrough: () => undefined,
};

export const noS3: Middleware = () => {
  throw serverError('NotFound');
};
