/** Generated from schemas/put-rules.schema.json by "npm run types"; do not edit. */

/**
 * The body of PUT /rules: the bucket's whole list of rules. Properties that are not named here are ignored.
 */
export interface PutRules {
  /**
   * The rules, at most 4; an empty list removes all.
   *
   * @maxItems 4
   */
  rules: RuleInput[];
}
/**
 * Which objects of the bucket go to one target.
 */
export interface RuleInput {
  /**
   * The rule's UUID within its bucket; all zeros for a new rule, which gets an id from the server.
   */
  id: string;
  /**
   * The id of a target of the same bucket.
   */
  targetId: string;
  /**
   * Keys that start with it are covered; empty, null or absent covers the whole bucket.
   */
  prefix?: string | null;
  /**
   * Whether deletes are replicated too.
   */
  replicateDeletes: boolean;
  /**
   * Whether objects from before the rule are to be copied by a resync.
   */
  replicateExisting: boolean;
  /**
   * Whether a write waits for its delivery; false where absent.
   */
  synchronous?: boolean;
  /**
   * Whether the rule applies to new writes.
   */
  enabled: boolean;
}
