import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { Host } from '../../src/host.ts';
import { INTERNAL_ROUTES } from '../../src/server/internal-api/router.ts';
import { loadPlugin, type LoadedPlugin } from '../../src/server/plugin-loader.ts';
import { findRouteConflict } from '../../src/server/route-conflicts.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const MANIFEST = {
  id: 'sample',
  version: '1.0.0',
  description: 'A plugin of the tests.',
  entry: './entry.mjs',
  hostApi: '^1.0',
  optionsSchema: './options.schema.json',
  routes: ['/api/v1/buckets/:bucketName/sample'],
  hooks: ['bucketDeleted'],
};
const SCHEMA = {
  type: 'object',
  additionalProperties: false,
  properties: {
    size: { type: 'integer', 'x-expected': 'a whole number' },
    network: { type: 'string', format: 'nobody-knows-this' },
  },
};
const MEMBERS = `middleware() {}, async bucketReplication() {},
  async health() { return { healthy: true }; }, async metrics() { return ''; },
  async close() { globalThis.sampleClosed = true; }`;
const ENTRY = `export async function activate(host, options) {
  return { ${MEMBERS}, async bucketDeleted() {}, async announce() {} };
}`;

interface Files {
  readonly manifest?: object | string;
  readonly schema?: object | string | null;
  readonly entry?: string | null;
  readonly options?: unknown;
}

function load(t: TestContext, files: Files = {}): Promise<LoadedPlugin> {
  const folder = join(temporaryDirectory(t), 'plugin');
  mkdirSync(folder);
  const write = (name: string, content: object | string | null): void => {
    if (content === null) return;
    writeFileSync(
      join(folder, name),
      typeof content === 'string' ? content : JSON.stringify(content),
    );
  };
  write('plugin.json', files.manifest ?? MANIFEST);
  write('options.schema.json', files.schema === undefined ? SCHEMA : files.schema);
  write('entry.mjs', files.entry === undefined ? ENTRY : files.entry);
  write('../outside.mjs', ENTRY);
  write('../outside.json', SCHEMA);
  symlinkSync('../outside.mjs', join(folder, 'link.mjs'));
  return loadPlugin({
    manifestPath: join(folder, 'plugin.json'),
    options: files.options ?? {},
    hostApiVersion: '1.2',
    reservedRoutes: INTERNAL_ROUTES,
  });
}

const refusals: readonly { what: string; code: string; files: Files }[] = [
  { what: 'a manifest that is not JSON', code: 'ManifestUnreadable', files: { manifest: '{' } },
  {
    what: 'a manifest without id',
    code: 'ManifestInvalid',
    files: { manifest: { ...MANIFEST, id: undefined } },
  },
  { what: 'a manifest that is a list', code: 'ManifestInvalid', files: { manifest: [] } },
  {
    what: 'an unknown hook',
    code: 'ManifestInvalid',
    files: { manifest: { ...MANIFEST, hooks: ['x'] } },
  },
  {
    what: 'an older major host API',
    code: 'HostApiUnsupported',
    files: { manifest: { ...MANIFEST, hostApi: '^0.9' } },
  },
  {
    what: 'a newer major host API',
    code: 'HostApiUnsupported',
    files: { manifest: { ...MANIFEST, hostApi: '^2.0' } },
  },
  {
    what: 'a newer minor host API',
    code: 'HostApiUnsupported',
    files: { manifest: { ...MANIFEST, hostApi: '^1.3' } },
  },
  {
    what: 'a route of the server',
    code: 'RouteConflict',
    files: { manifest: { ...MANIFEST, routes: ['/api/v1/buckets/:name'] } },
  },
  { what: 'a missing options schema', code: 'OptionsSchemaUnreadable', files: { schema: null } },
  {
    what: 'an options schema that is not JSON',
    code: 'OptionsSchemaUnreadable',
    files: { schema: '{' },
  },
  {
    what: 'an options schema outside the folder',
    code: 'OptionsSchemaUnreadable',
    files: { manifest: { ...MANIFEST, optionsSchema: './../outside.json' } },
  },
  {
    what: 'an options schema that is none',
    code: 'OptionsSchemaInvalid',
    files: { schema: { type: 'nonsense' } },
  },
  { what: 'options that do not fit', code: 'OptionsInvalid', files: { options: { size: 'big' } } },
  { what: 'options that are no object', code: 'OptionsInvalid', files: { options: [] } },
  { what: 'a missing entry', code: 'EntryUnreadable', files: { entry: null } },
  {
    what: 'an entry outside the folder',
    code: 'EntryUnreadable',
    files: { manifest: { ...MANIFEST, entry: './../outside.mjs' } },
  },
  {
    what: 'an entry that links outside',
    code: 'EntryUnreadable',
    files: { manifest: { ...MANIFEST, entry: './link.mjs' } },
  },
  { what: 'an entry that does not parse', code: 'EntryInvalid', files: { entry: 'export {' } },
  { what: 'an entry that throws', code: 'EntryInvalid', files: { entry: 'throw new Error("x")' } },
  {
    what: 'an entry without activate',
    code: 'EntryInvalid',
    files: { entry: 'export const a = 1;' },
  },
  {
    what: 'an activate that is no function',
    code: 'EntryInvalid',
    files: { entry: 'export const activate = 1;' },
  },
];

describe('loading a plugin', () => {
  for (const { what, code, files } of refusals) {
    it(`refuses ${what}: ${code}`, async (t) => {
      await assert.rejects(load(t, files), { code });
    });
  }

  it('refuses a manifest that is not there', async (t) => {
    await assert.rejects(
      loadPlugin({
        manifestPath: join(temporaryDirectory(t), 'plugin.json'),
        options: {},
        hostApiVersion: '1.0',
        reservedRoutes: [],
      }),
      { code: 'ManifestUnreadable' },
    );
  });

  it('says which option is wrong and what is expected, never its value', async (t) => {
    await assert.rejects(load(t, { options: { size: 'hush-hush' } }), (error: Error) => {
      assert.match(error.message, /\/size must be a whole number/);
      assert.doesNotMatch(error.message, /hush/);
      return true;
    });
  });

  it('accepts an older minor host API, and formats that only the plugin knows', async (t) => {
    const loaded = await load(t, { options: { size: 3, network: 'anything' } });
    assert.equal(loaded.manifest.id, 'sample');
  });

  it('gives out the listed hooks and no others', async (t) => {
    const plugin = await (await load(t)).activate({} as Host);
    assert.equal(typeof plugin.bucketDeleted, 'function');
    assert.equal('announce' in plugin, false);
    assert.deepEqual(await plugin.health(), { healthy: true });
  });

  it('closes and refuses a plugin that lacks a hook that it lists', async (t) => {
    const loaded = await load(t, {
      manifest: { ...MANIFEST, hooks: ['bucketDeleted', 'mayChangeVersioning'] },
    });
    await assert.rejects(loaded.activate({} as Host), {
      code: 'HookMissing',
      message: /mayChangeVersioning/,
    });
    assert.equal((globalThis as { sampleClosed?: boolean }).sampleClosed, true);
  });

  it('refuses a plugin without middleware', async (t) => {
    const loaded = await load(t, {
      entry: 'export const activate = async () => ({ async bucketDeleted() {} });',
    });
    await assert.rejects(loaded.activate({} as Host), { code: 'HookMissing' });
  });

  it('tells why activation failed', async (t) => {
    const loaded = await load(t, {
      entry: 'export async function activate() { throw new Error("no room"); }',
    });
    await assert.rejects(loaded.activate({} as Host), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'ActivationFailed');
      assert.equal((error.cause as Error).message, 'no room');
      return true;
    });
  });
});

describe('route conflicts', () => {
  const reserved = ['/livez', '/api/v1/buckets/:bucketName/versioning'];
  const cases: readonly [claim: string, conflict: boolean][] = [
    ['/livez', true],
    ['/', true],
    ['/api', true],
    ['/:anything', true],
    ['/api/v1/buckets/:b', true],
    ['/api/v1/buckets/:b/versioning', true],
    ['/api/v1/buckets/photos/versioning', true],
    ['/api/v1/buckets/:b/versioning/history', false],
    ['/api/v1/buckets/:b/replication', false],
    ['/:bucketName?replication', false],
    ['/livez2', false],
  ];
  for (const [claim, conflict] of cases) {
    it(`${claim} ${conflict ? 'takes' : 'leaves'} the server's routes`, () => {
      assert.equal(findRouteConflict([claim], reserved) !== null, conflict);
    });
  }
});
