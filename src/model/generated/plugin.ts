/** Generated from schemas/plugin.schema.json by "npm run types"; do not edit. */

/**
 * plugin.json: what a storage server must know about a plugin before it loads it.
 */
export interface PluginManifest {
  /**
   * Where this schema is, for editors.
   */
  $schema?: string;
  /**
   * The plugin's name, unique on a server: lower-case words joined by hyphens.
   */
  id: string;
  /**
   * The plugin's own version, as in Semantic Versioning 2.0.0.
   */
  version: string;
  /**
   * One sentence for people.
   */
  description: string;
  /**
   * The ES module that exports activate(host, options), relative to this file.
   */
  entry: string;
  /**
   * The host API versions that the plugin works with: ^major.minor means that major version, at least that minor one.
   */
  hostApi: string;
  /**
   * The JSON Schema (2020-12) of the options object, relative to this file.
   */
  optionsSchema: string;
  /**
   * The paths that the plugin answers, for people and for conflict checks.
   */
  routes: string[];
  /**
   * The hooks of the host contract that the plugin implements; the server calls no others.
   */
  hooks: ('bucketDeleted' | 'mayChangeVersioning' | 'announce' | 'replicationStatus')[];
}
