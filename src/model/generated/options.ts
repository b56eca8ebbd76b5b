/** Generated from schemas/options.schema.json by "npm run types"; do not edit. */

/**
 * What the operator of a server may set for the replication plugin.
 */
export interface PluginOptions {
  /**
   * Exceptions to the rule that targets must have public addresses.
   */
  egress?: {
    /**
     * Address ranges (CIDR) that count as public, for instance the network of a private object store.
     */
    allow?: string[];
    /**
     * Address ranges (CIDR) that are never reached, by nobody's targets; wins over allow. IPv4 ranges hold in every IPv6 form that carries an IPv4 address.
     */
    deny?: string[];
  };
  /**
   * Limits of the deliveries to all targets together.
   */
  delivery?: {
    /**
     * Memory, in bytes, that the bodies of all deliveries may take together. The owners of buckets share it fairly.
     */
    bodyBytesMax?: number;
  };
  /**
   * Where the keys are that seal the targets' secret access keys at rest. Keys are 32 bytes in base64, separated by white space or commas; the first seals, all open. Without either property a key is generated at first start into a file beside the database.
   */
  sealing?: {
    /**
     * The name of an environment variable that holds the keys.
     */
    environmentVariable?: string;
    /**
     * The absolute path of a file that holds the keys.
     */
    file?: string;
  };
}
