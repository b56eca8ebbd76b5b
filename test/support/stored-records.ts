/**
 * The records of a store as LMDB holds them, read past the code under test, and the contract that
 * each of them keeps: schemas/stored-configuration.schema.json.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { open } from 'lmdb';
import type { StoredConfiguration } from '../../src/model/generated/stored-configuration.ts';

const schemaUrl = new URL('../../schemas/stored-configuration.schema.json', import.meta.url);
const ajv = new Ajv2020({ allErrors: true, strictSchema: true });
ajv.addKeyword('tsType');
const fits = ajv.compile(JSON.parse(readFileSync(schemaUrl, 'utf8')) as object);

export interface StoredRecords {
  readonly configurations: ReadonlyMap<string, StoredConfiguration>;
  readonly hints: ReadonlyMap<string, unknown>;
  readonly meta: ReadonlyMap<string, unknown>;
}

/** Everything that is committed, each configuration checked against the schema. */
export async function readStoredRecords(dataDirectory: string): Promise<StoredRecords> {
  const root = open({ path: join(dataDirectory, 'replication'), noSubdir: false, readOnly: true });
  try {
    const all = (name: string): Map<string, unknown> =>
      new Map(
        Array.from(root.openDB({ name }).getRange(), ({ key, value }) => [String(key), value]),
      );
    const configurations = all('configurations') as Map<string, StoredConfiguration>;
    for (const [name, record] of configurations) assertStored(name, record);
    return { configurations, hints: all('hints'), meta: all('meta') };
  } finally {
    await root.close();
  }
}

export async function readStoredRecord(
  dataDirectory: string,
  bucketName: string,
): Promise<StoredConfiguration> {
  const record = (await readStoredRecords(dataDirectory)).configurations.get(bucketName);
  assert(record !== undefined, `no record of ${bucketName}`);
  return record;
}

function assertStored(name: string, record: StoredConfiguration): void {
  assert(fits(record), `record of ${name}: ${ajv.errorsText(fits.errors)}`);
  for (const { secret } of record.targets) {
    assert(secret.box instanceof Uint8Array, `record of ${name}: the box is bytes`);
  }
  const ids = new Set(record.targets.map((target) => target.id));
  for (const rule of record.rules) {
    assert(!rule.enabled || ids.has(rule.targetId), `record of ${name}: enabled rule, no target`);
  }
}
