/**
 * Validates request bodies and options with ajv, and says what is expected of each field.
 *
 * A schema property may carry `x-expected`, the end of the sentence "<field> must be …", which
 * replaces ajv's own message. Values are never part of a message.
 *
 * Two passes keep hostile input cheap: the first stops at the first failure. Only when that was not
 * an oversized array does the second pass collect every failure (349,000 empty items would make
 * millions of errors otherwise). ajv checks an array's length before its items.
 */
import { readFileSync } from 'node:fs';
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import type { ErrorDetail } from './errors.ts';

/** Named string checks that a schema refers to with `format`. */
export type Formats = Readonly<Record<string, (value: string) => boolean>>;

/** Returns what is wrong with a value; an empty list means that it has type T. */
export type Validator = (value: unknown) => readonly ErrorDetail[];

/** Reads a schema that this package ships. */
export function readSchema(name: string): object {
  const url = new URL(`../../schemas/${name}.schema.json`, import.meta.url);
  return JSON.parse(readFileSync(url, 'utf8')) as object;
}

export interface ValidatorOptions {
  readonly formats?: Formats;
  /** Fills in missing options with their defaults; without it the validated value is left alone. */
  readonly fillDefaults?: boolean;
  /** Passes over every `format`: for a schema of somebody else's, whose formats nobody here knows. */
  readonly ignoreFormats?: boolean;
}

/**
 * Compiles a schema once; the returned function is pure, except that missing options are filled in
 * with their defaults where `fillDefaults` is set.
 */
export function createValidator(schema: object, options: ValidatorOptions = {}): Validator {
  const compile = (allErrors: boolean): ValidateFunction =>
    newAjv(allErrors, options).compile(schema);
  const first = compile(false);
  let every: ValidateFunction | undefined;
  return (value) => {
    if (first(value)) return [];
    const failure = first.errors?.[0];
    if (failure?.keyword === 'maxItems') return [toDetail(failure)];
    every ??= compile(true);
    every(value);
    return toDetails(every.errors ?? []);
  };
}

function newAjv(allErrors: boolean, options: ValidatorOptions): Ajv2020 {
  const ajv = new Ajv2020({
    strict: true,
    allErrors,
    verbose: true,
    useDefaults: options.fillDefaults ?? false,
    validateFormats: options.ignoreFormats !== true,
    validateSchema: false,
  });
  ajv.addKeyword({ keyword: 'x-expected', schemaType: 'string' });
  ajv.addKeyword({
    keyword: 'x-maxBytes',
    type: 'string',
    schemaType: 'number',
    compile: (limit: number) => (text: string) => Buffer.byteLength(text) <= limit,
  });
  for (const [name, check] of Object.entries(options.formats ?? {})) ajv.addFormat(name, check);
  return ajv;
}

/** One detail per field: a value that breaks two rules is described once. */
function toDetails(errors: readonly ErrorObject[]): readonly ErrorDetail[] {
  const byPath = new Map<string, ErrorDetail>();
  for (const error of errors) {
    const detail = toDetail(error);
    if (!byPath.has(detail.path)) byPath.set(detail.path, detail);
  }
  return [...byPath.values()];
}

function toDetail(error: ErrorObject): ErrorDetail {
  if (error.keyword === 'required') {
    const { missingProperty } = error.params as { missingProperty: string };
    const properties = (error.parentSchema as { properties?: Record<string, unknown> }).properties;
    const expected = expectation(properties?.[missingProperty]);
    return {
      path: `${error.instancePath}/${missingProperty}`,
      message: expected === undefined ? 'is required' : `is required and must be ${expected}`,
    };
  }
  const expected = expectation(error.parentSchema);
  const message =
    expected === undefined ? (error.message ?? 'is not valid') : `must be ${expected}`;
  return { path: error.instancePath, message };
}

function expectation(schema: unknown): string | undefined {
  const expected = (schema as { 'x-expected'?: unknown } | undefined)?.['x-expected'];
  return typeof expected === 'string' ? expected : undefined;
}
