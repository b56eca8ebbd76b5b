/**
 * Turns a request body that koa-body parsed into a value of a known type, by one of schemas/server/.
 */
import type { Context } from 'koa';
import { transportError } from '../../json-api/errors.ts';
import { createValidator, readSchema } from '../../json-api/validator.ts';

/** Reads `ctx.request.body`. @throws ApiError InvalidRequest */
export type BodyReader<T> = (ctx: Context) => T;

/** @param schema the name of a file in schemas/server/ that describes T; the caller vouches for that */
export function createBodyReader<T>(schema: string): BodyReader<T> {
  const validate = createValidator(readSchema(`server/${schema}`));
  return (ctx) => {
    const body: unknown = ctx.request.body;
    const details = validate(body);
    if (details.length > 0) throw transportError('InvalidRequest', { details });
    return body as T;
  };
}
