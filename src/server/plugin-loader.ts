/**
 * Loads a plugin by its plugin.json, and refuses it by name before it or the server opens anything.
 *
 * Loading has two steps. {@link loadPlugin} reads the manifest, checks the host API version, the
 * options and the routes, and imports the entry module. {@link LoadedPlugin.activate} runs it and
 * gives out only those hooks that the manifest lists.
 */
import { readFileSync, realpathSync } from 'node:fs';
import { dirname, relative, resolve, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Host, Plugin, PluginModule } from '../host.ts';
import { createValidator, readSchema, type Validator } from '../json-api/validator.ts';
import type { ErrorDetail } from '../json-api/errors.ts';
import type { PluginManifest } from '../model/generated/plugin.ts';
import { findRouteConflict } from './route-conflicts.ts';

/** What every plugin has, whatever hooks it lists. */
const CONTRACT = ['middleware', 'bucketReplication', 'health', 'metrics', 'close'] as const;

export type PluginErrorCode =
  | 'ManifestUnreadable'
  | 'ManifestInvalid'
  | 'HostApiUnsupported'
  | 'RouteConflict'
  | 'OptionsSchemaUnreadable'
  | 'OptionsSchemaInvalid'
  | 'OptionsInvalid'
  | 'EntryUnreadable'
  | 'EntryInvalid'
  | 'ActivationFailed'
  | 'HookMissing';

/** Why a plugin is not loaded; the message is one or more sentences for the operator. */
export class PluginError extends Error {
  readonly code: PluginErrorCode;

  constructor(code: PluginErrorCode, message: string, options?: { cause: unknown }) {
    super(message, options);
    this.name = 'PluginError';
    this.code = code;
  }
}

export interface PluginSource {
  /** The path of plugin.json. */
  readonly manifestPath: string;
  readonly options: unknown;
  /** `major.minor`, what the server offers. */
  readonly hostApiVersion: string;
  /** Paths that the server answers itself. */
  readonly reservedRoutes: readonly string[];
}

export interface LoadedPlugin {
  readonly manifest: PluginManifest;
  /** @throws PluginError ActivationFailed, HookMissing */
  activate(host: Host): Promise<Plugin>;
}

const validateManifest: Validator = createValidator(readSchema('plugin'));

/** @throws PluginError with every code but ActivationFailed and HookMissing */
export async function loadPlugin(source: PluginSource): Promise<LoadedPlugin> {
  const manifest = readManifest(source.manifestPath);
  checkHostApi(manifest, source.hostApiVersion);
  checkRoutes(manifest, source.reservedRoutes);
  checkOptions(manifest, source);
  const module = await importEntry(manifest, source.manifestPath);
  return {
    manifest,
    activate: (host) => activate(module, manifest, host, source.options),
  };
}

function readManifest(path: string): PluginManifest {
  const manifest = readJson(path, 'ManifestUnreadable', 'manifest of the plugin');
  const details = validateManifest(manifest);
  if (details.length > 0) {
    throw new PluginError('ManifestInvalid', `${path} is not a manifest: ${sentence(details)}`);
  }
  return manifest as PluginManifest;
}

/** `^major.minor`: the same major version, and at least that minor one. */
function checkHostApi(manifest: PluginManifest, offered: string): void {
  const [wantedMajor, wantedMinor] = versionNumbers(manifest.hostApi.slice(1));
  const [major, minor] = versionNumbers(offered);
  if (wantedMajor === major && wantedMinor <= minor) return;
  throw new PluginError(
    'HostApiUnsupported',
    `The plugin ${manifest.id} needs host API ${manifest.hostApi}; this server offers ${offered}. ` +
      'Install a version of the plugin for this server.',
  );
}

function versionNumbers(version: string): [number, number] {
  const [major, minor] = version.split('.');
  return [Number(major), Number(minor)];
}

function checkRoutes(manifest: PluginManifest, reserved: readonly string[]): void {
  const conflict = findRouteConflict(manifest.routes, reserved);
  if (conflict === null) return;
  throw new PluginError(
    'RouteConflict',
    `The plugin ${manifest.id} claims ${conflict.claimed}, but the server itself answers ${conflict.reserved}.`,
  );
}

function checkOptions(manifest: PluginManifest, source: PluginSource): void {
  const path = pathBeside(source.manifestPath, manifest.optionsSchema, 'OptionsSchemaUnreadable');
  const schema = readJson(path, 'OptionsSchemaUnreadable', 'options schema of the plugin');
  const details = optionsValidator(schema, path)(source.options);
  if (details.length === 0) return;
  throw new PluginError(
    'OptionsInvalid',
    `The options of the plugin ${manifest.id} do not fit: ${sentence(details)}`,
  );
}

/** Formats are the plugin's own business: it checks them when it is activated. */
function optionsValidator(schema: unknown, path: string): Validator {
  try {
    return createValidator(schema as object, { ignoreFormats: true });
  } catch (cause) {
    throw new PluginError(
      'OptionsSchemaInvalid',
      `${path} is not a JSON Schema (2020-12) that the server understands.`,
      { cause },
    );
  }
}

async function importEntry(manifest: PluginManifest, manifestPath: string): Promise<PluginModule> {
  const path = pathBeside(manifestPath, manifest.entry, 'EntryUnreadable');
  let module: Partial<PluginModule>;
  try {
    module = (await import(pathToFileURL(path).href)) as Partial<PluginModule>;
  } catch (cause) {
    throw new PluginError('EntryInvalid', `${path} cannot be imported.`, { cause });
  }
  if (typeof module.activate !== 'function') {
    throw new PluginError('EntryInvalid', `${path} exports no function "activate".`);
  }
  return module as PluginModule;
}

async function activate(
  module: PluginModule,
  manifest: PluginManifest,
  host: Host,
  options: unknown,
): Promise<Plugin> {
  let plugin: Plugin;
  try {
    plugin = await module.activate(host, options);
  } catch (cause) {
    throw new PluginError('ActivationFailed', `The plugin ${manifest.id} did not start.`, {
      cause,
    });
  }
  const needed = [...CONTRACT, ...manifest.hooks] as const;
  const missing = needed.filter((name) => typeof plugin[name] !== 'function');
  if (missing.length > 0) {
    if (typeof plugin.close === 'function') await plugin.close();
    throw new PluginError(
      'HookMissing',
      `The plugin ${manifest.id} lacks what it must have or lists as a hook: ${missing.join(', ')}.`,
    );
  }
  return narrow(plugin, manifest);
}

/** Takes off the hooks that the manifest does not list, so that nothing can call them. */
function narrow(plugin: Plugin, manifest: PluginManifest): Plugin {
  const hooks = manifest.hooks.map((name) => [name, plugin[name]?.bind(plugin)] as const);
  return {
    middleware: plugin.middleware,
    bucketReplication: (...args) => plugin.bucketReplication(...args),
    health: () => plugin.health(),
    metrics: () => plugin.metrics(),
    close: () => plugin.close(),
    ...(Object.fromEntries(hooks) as Partial<Plugin>),
  };
}

/** Resolves links too: what a manifest names must lie in its own folder. */
function pathBeside(manifestPath: string, path: string, code: PluginErrorCode): string {
  const folder = realpathSync(dirname(manifestPath));
  const named = resolve(folder, path);
  let real: string;
  try {
    real = realpathSync(named);
  } catch (cause) {
    throw new PluginError(code, `${named}, which the plugin's manifest names, is missing.`, {
      cause,
    });
  }
  if (relative(folder, real).split(sep)[0] === '..') {
    throw new PluginError(code, `The manifest names ${path}, which lies outside its own folder.`);
  }
  return real;
}

function readJson(path: string, code: PluginErrorCode, what: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new PluginError(code, `The ${what}, ${path}, cannot be read.`, { cause });
  }
  try {
    return JSON.parse(text);
  } catch {
    // Without the parser's message, which quotes the text.
    throw new PluginError(code, `The ${what}, ${path}, is not JSON.`);
  }
}

function sentence(details: readonly ErrorDetail[]): string {
  return `${details.map(({ path, message }) => `${path === '' ? 'it' : path} ${message}`).join('; ')}.`;
}
