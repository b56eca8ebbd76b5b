/**
 * What the operator decides: the arguments of `serve` and the environment, read once and checked
 * before anything is opened.
 *
 * Values from the environment are taken exactly as they are, of any length and with all their
 * spaces; only an empty one counts as absent, because that is how compose files write "not set".
 */
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { trustedProxies } from './client-address.ts';

const DEFAULT_REGION = 'us-east-1';
const REGION_PATTERN = /^[A-Za-z0-9._-]{1,64}$/;
const PORT_PATTERN = /^\d{1,5}$/;
const PORT_MAX = 65_535;
const OWN_PLUGIN = fileURLToPath(new URL('../../plugin.json', import.meta.url));

/** Thrown for wrong arguments and environment values; the message says what to write instead. */
export class UsageError extends Error {
  readonly code = 'Usage';
}

export interface ServerConfiguration {
  readonly hostname: string;
  /** 0: the system chooses. */
  readonly port: number;
  /** Absolute. */
  readonly dataDirectory: string;
  /** Absolute path of plugin.json. */
  readonly pluginPath: string;
  /** Absolute path of a JSON file; null: the options are `{}`. */
  readonly pluginOptionsPath: string | null;
  /** Null: one is made and kept in the data directory. */
  readonly tokenSecret: string | null;
  readonly region: string;
  /** Null: as stored, at first start `alarik`. */
  readonly adminUsername: string | null;
  /** Null: as stored, at first start a random one. */
  readonly adminPassword: string | null;
  readonly defaultAccessKey: {
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
  } | null;
  readonly allowAccountCreation: boolean;
  /** Addresses and CIDR ranges of proxies whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: readonly string[];
  /** Start although server.key opens none of the access keys. */
  readonly keysLost: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** @throws UsageError */
export function readConfiguration(
  args: readonly string[],
  environment: Environment,
): ServerConfiguration {
  const values = parseArguments(args);
  return {
    hostname: required('--hostname', values.hostname),
    port: parsePort(values.port),
    dataDirectory: resolve(required('--data', values.data)),
    pluginPath: resolve(required('--plugin', values.plugin)),
    pluginOptionsPath:
      values['plugin-options'] === undefined
        ? null
        : resolve(required('--plugin-options', values['plugin-options'])),
    tokenSecret: present(environment['JWT']),
    region: parseRegion(present(environment['ALARIK_REGION'])),
    adminUsername: present(environment['ADMIN_USERNAME']),
    adminPassword: present(environment['ADMIN_PASSWORD']),
    defaultAccessKey: parseDefaultKey(environment),
    allowAccountCreation: parseFlag(environment, 'ALLOW_ACCOUNT_CREATION'),
    trustedProxies: parseProxies(values['trusted-proxies'], environment),
    keysLost: values['keys-lost'],
  };
}

function parseArguments(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      strict: true,
      allowPositionals: false,
      options: {
        hostname: { type: 'string', default: '127.0.0.1' },
        port: { type: 'string', default: '8080' },
        data: { type: 'string', default: './data' },
        plugin: { type: 'string', default: OWN_PLUGIN },
        'plugin-options': { type: 'string' },
        'trusted-proxies': { type: 'string' },
        'keys-lost': { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    // parseArgs says which argument, and its sentences are meant for the user.
    throw new UsageError(error instanceof Error ? error.message : 'Wrong arguments.');
  }
}

function required(name: string, value: string): string {
  if (value === '') throw new UsageError(`${name} needs a value.`);
  return value;
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!PORT_PATTERN.test(text) || port > PORT_MAX) {
    throw new UsageError(`--port must be a number from 0 to ${PORT_MAX}; 0 takes any free port.`);
  }
  return port;
}

function parseRegion(region: string | null): string {
  if (region === null) return DEFAULT_REGION;
  if (!REGION_PATTERN.test(region)) {
    throw new UsageError(
      'ALARIK_REGION must be 1 to 64 characters of A-Z, a-z, 0-9, ".", "_" and "-".',
    );
  }
  return region;
}

function parseDefaultKey(environment: Environment): ServerConfiguration['defaultAccessKey'] {
  const accessKeyId = present(environment['DEFAULT_ACCESS_KEY']);
  const secretAccessKey = present(environment['DEFAULT_SECRET_KEY']);
  if (accessKeyId === null && secretAccessKey === null) return null;
  if (accessKeyId === null || secretAccessKey === null) {
    throw new UsageError('Set both DEFAULT_ACCESS_KEY and DEFAULT_SECRET_KEY, or neither.');
  }
  return { accessKeyId, secretAccessKey };
}

function parseFlag(environment: Environment, name: string): boolean {
  const value = present(environment[name]);
  if (value === null || value === 'false') return false;
  if (value === 'true') return true;
  throw new UsageError(`${name} must be "true" or "false".`);
}

/** The argument wins over the environment. */
function parseProxies(argument: string | undefined, environment: Environment): string[] {
  const text = argument ?? present(environment['TRUSTED_PROXIES']) ?? '';
  if (text.trim() === '') return [];
  const ranges = text.split(',').map((range) => range.trim());
  try {
    trustedProxies(ranges);
  } catch (error) {
    throw new UsageError(`Trusted proxies: ${(error as RangeError).message}`, { cause: error });
  }
  return ranges;
}

function present(value: string | undefined): string | null {
  return value === undefined || value === '' ? null : value;
}
