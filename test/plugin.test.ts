/** The plugin as a host sees it: its manifest, its options, and that nothing is left after `close`. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { PluginManifest } from '../src/model/generated/plugin.ts';
import { startKoaHost } from './support/koa-host.ts';
import { runProgram } from './support/child-process.ts';
import { targetBody, targetsPath } from './support/replication-bodies.ts';
import { startReplicationHost } from './support/replication-host.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

function readJson<T>(path: string): T {
  return JSON.parse(readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')) as T;
}

const manifest = readJson<PluginManifest>('plugin.json');
const knownHooks = ['bucketDeleted', 'mayChangeVersioning', 'announce', 'replicationStatus'];

describe('plugin.json', () => {
  it('fits its schema', () => {
    const fits = new Ajv2020().compile(readJson<object>('schemas/plugin.schema.json'));
    assert.equal(fits(manifest), true, JSON.stringify(fits.errors));
  });

  it('has the version of package.json, and names files that exist', () => {
    const { version } = readJson<{ version: string }>('package.json');
    assert.equal(manifest.version, version);
    const source = manifest.entry.replace('./dist/', '../src/').replace(/\.js$/, '.ts');
    for (const path of [source, `../${manifest.optionsSchema}`]) {
      assert(existsSync(new URL(path, import.meta.url)), path);
    }
  });

  it('lists exactly the hooks that the activated plugin has', async (t) => {
    const { plugin } = await startReplicationHost(t);
    const hooks = Object.keys(plugin).filter((name) => knownHooks.includes(name));
    assert.deepEqual(hooks.sort(), [...manifest.hooks].sort());
  });
});

describe('options', () => {
  const invalid: Readonly<Record<string, readonly [unknown, RegExp]>> = {
    'an unknown one': [{ egres: {} }, /options/],
    'a budget that is too small': [
      { delivery: { bodyBytesMax: 1_000_000 } },
      /\/delivery\/bodyBytesMax must be >= 16777216/,
    ],
    'a range that is none': [{ egress: { allow: ['10.0.0.0'] } }, /\/egress\/allow\/0/],
    'a host in place of a range': [{ egress: { deny: ['example.com/8'] } }, /\/egress\/deny\/0/],
    'two places for the keys': [{ sealing: { file: '/k', environmentVariable: 'K' } }, /\/sealing/],
    'a relative key file': [{ sealing: { file: 'keys' } }, /\/sealing\/file/],
    text: ['egress', /options/],
    'a list': [[], /options/],
  };
  for (const [what, [pluginOptions, message]] of Object.entries(invalid)) {
    it(`${what}: refused before anything is opened`, async (t) => {
      const dataDirectory = temporaryDirectory(t);
      await assert.rejects(startKoaHost({ dataDirectory, pluginOptions }), {
        code: 'InvalidOptions',
        message,
      });
      assert.deepEqual(readdirSync(dataDirectory), []);
    });
  }

  it('keys that are missing or malformed: refused before the store is opened, never quoted', async (t) => {
    const dataDirectory = temporaryDirectory(t);
    const start = (text: string | undefined): Promise<unknown> =>
      startKoaHost({
        dataDirectory,
        pluginOptions: { sealing: { environmentVariable: 'SEALING_KEYS' } },
        system: { environment: text === undefined ? {} : { SEALING_KEYS: text } },
      });
    const shortKey = Buffer.alloc(31, 7).toString('base64');
    for (const text of [undefined, '', 'not-a-key', shortKey]) {
      await assert.rejects(start(text), (error: Error) => {
        assert.match(error.message, /environment variable SEALING_KEYS/);
        assert.equal(text !== undefined && text !== '' && error.message.includes(text), false);
        return true;
      });
    }
    assert.deepEqual(readdirSync(dataDirectory), []);
  });

  it('are not changed by the plugin, and may be left out', async (t) => {
    const pluginOptions = Object.freeze({ egress: Object.freeze({}) });
    const host = await startReplicationHost(t, { pluginOptions });
    assert.deepEqual(pluginOptions, { egress: {} });
    assert.equal((await host.putTargets([targetBody()])).status, 200);
  });
});

describe('closing', () => {
  it('is done once, shared by all callers, and refuses requests afterwards', async (t) => {
    const host = await startReplicationHost(t);
    assert.deepEqual(await host.plugin.health(), { healthy: true });
    const closed = host.plugin.close();
    assert.equal(host.plugin.close(), closed);
    await closed;
    for (const answer of [await host.getTargets(), await host.putTargets([targetBody()])]) {
      assert.deepEqual([answer.status, answer.json.code], [503, 'ServiceUnavailable']);
    }
    const { healthy, reason } = await host.plugin.health();
    assert.equal(healthy, false);
    assert.equal(reason?.includes(host.dataDirectory), false);
    const bucket = host.buckets.get('photos')!;
    await assert.rejects(host.plugin.bucketDeleted!(bucket), { code: 'ServiceUnavailable' });
  });

  it('finishes the changes that run', async (t) => {
    const host = await startReplicationHost(t);
    const names = Array.from({ length: 20 }, (_, n) => `bucket-${n}`);
    for (const name of names) host.addBucket(name);
    const body = { targets: [targetBody()] };
    const answers = names.map((name) => host.request('PUT', targetsPath(name), { body }));
    await answers[0];
    await host.plugin.close();
    const statuses = (await Promise.all(answers)).map((answer) => answer.status);
    const next = await startReplicationHost(t, host);
    for (const [index, name] of names.entries()) {
      const { targets } = (await next.request('GET', targetsPath(name))).json;
      const expected = statuses[index] === 200 ? 1 : 0;
      assert.equal(targets.length, expected, `${name}: ${statuses[index]}`);
    }
  });

  it('leaves no timer and no handle that would keep the process alive', async (t) => {
    const dataDirectory = mkdtempSync(join(temporaryDirectory(t), 'data-'));
    const ended = await runProgram('activate-and-close.ts', [dataDirectory]);
    assert.deepEqual(ended, { code: 0, signal: null, stdout: 'closed\n', stderr: ended.stderr });
  });
});
