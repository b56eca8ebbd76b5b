import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { describe, it } from 'node:test';
import { readConfiguration } from '../../src/server/configuration.ts';

describe('the configuration', () => {
  it('has the documented defaults', () => {
    const { pluginPath, ...rest } = readConfiguration([], {});
    assert.equal(pluginPath, resolve('plugin.json'));
    assert.deepEqual(rest, {
      hostname: '127.0.0.1',
      port: 8080,
      dataDirectory: resolve('data'),
      pluginOptionsPath: null,
      tokenSecret: null,
      region: 'us-east-1',
      adminUsername: null,
      adminPassword: null,
      defaultAccessKey: null,
      allowAccountCreation: false,
      trustedProxies: [],
      keysLost: false,
    });
  });

  it('takes values from the environment exactly as they are', () => {
    const configuration = readConfiguration([], {
      JWT: ' x\n',
      ADMIN_USERNAME: ' Ann ',
      ADMIN_PASSWORD: ' ',
      DEFAULT_ACCESS_KEY: 'id',
      DEFAULT_SECRET_KEY: ' secret ',
      ALLOW_ACCOUNT_CREATION: 'true',
      ALARIK_REGION: 'eu-1',
    });
    assert.equal(configuration.tokenSecret, ' x\n');
    assert.equal(configuration.adminUsername, ' Ann ');
    assert.equal(configuration.adminPassword, ' ');
    assert.deepEqual(configuration.defaultAccessKey, {
      accessKeyId: 'id',
      secretAccessKey: ' secret ',
    });
    assert.equal(configuration.allowAccountCreation, true);
    assert.equal(configuration.region, 'eu-1');
  });

  it('takes trusted proxies from either, and the argument before the environment', () => {
    const environment = { TRUSTED_PROXIES: '10.0.0.0/8, ::1' };
    assert.deepEqual(readConfiguration([], environment).trustedProxies, ['10.0.0.0/8', '::1']);
    const args = ['--trusted-proxies', '192.0.2.1'];
    assert.deepEqual(readConfiguration(args, environment).trustedProxies, ['192.0.2.1']);
  });

  it('counts an empty value as absent', () => {
    const names = ['JWT', 'ADMIN_USERNAME', 'ADMIN_PASSWORD', 'ALARIK_REGION', 'TRUSTED_PROXIES'];
    const empty = Object.fromEntries(names.map((name) => [name, '']));
    assert.deepEqual(readConfiguration([], empty), readConfiguration([], {}));
  });

  const refused: readonly [
    what: string,
    args: string[],
    environment: Record<string, string>,
    message: RegExp,
  ][] = [
    ['a port that is no number', ['--port', 'http'], {}, /--port must be/],
    ['a port that is too high', ['--port', '65536'], {}, /--port must be/],
    ['a negative port', ['--port=-1'], {}, /--port must be/],
    ['a port with a fraction', ['--port', '80.5'], {}, /--port must be/],
    ['an empty port', ['--port', ''], {}, /--port must be/],
    ['an empty data directory', ['--data', ''], {}, /--data needs a value/],
    ['an option without value', ['--data'], {}, /--data/],
    ['an unknown option', ['--dta', 'x'], {}, /--dta/],
    ['a stray word', ['now'], {}, /now/],
    ['half a default key', [], { DEFAULT_ACCESS_KEY: 'id' }, /DEFAULT_SECRET_KEY/],
    ['the other half', [], { DEFAULT_SECRET_KEY: 'hush' }, /DEFAULT_ACCESS_KEY/],
    ['a flag that is neither', [], { ALLOW_ACCOUNT_CREATION: 'yes' }, /ALLOW_ACCOUNT_CREATION/],
    ['a proxy that is no address', ['--trusted-proxies', 'proxy'], {}, /Trusted proxies: "proxy"/],
    ['a proxy of the environment', [], { TRUSTED_PROXIES: '10.0.0.0/40' }, /Trusted proxies/],
    ['a region with a slash', [], { ALARIK_REGION: 'a/b' }, /ALARIK_REGION/],
  ];
  for (const [what, args, environment, message] of refused) {
    it(`refuses ${what}`, () => {
      assert.throws(() => readConfiguration(args, environment), { code: 'Usage', message });
    });
  }
});
