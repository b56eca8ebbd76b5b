/**
 * `X-Replication-Warning`: what a save did, or did not do, that its caller may not have meant, and what
 * an administrator's save vouched for. Entries are `name=value`, separated by commas:
 *
 *     ignored=rules.0.prefx            a property that nobody knows was passed over
 *     dropped=rules.0.prefix           an optional field was set before and is absent now
 *     disabled=<rule id>               the rule lost its target
 *     exempt=loopback                  connections may reach this kind of address that is not public
 *     unjudged=targets.0.endpoint      the name gave no address in time; each connection is judged
 *     more=<n>                         so many further entries are left out
 *
 * Callers' own names are put into a header here, so only plain ones are repeated and all else is `?`.
 * What a body alone tells is built before the save, so that no name can fail an answer whose save is
 * done; the other entries are made of our own words and of ids that are known to be UUIDs.
 */
import type { Context } from 'koa';
import type { Configuration } from '../model/configuration.ts';
import type { RuleInput } from '../model/generated/put-rules.ts';
import type { ConfigurationChange } from '../model/ports.ts';
import type { Target } from '../model/target.ts';

const HEADER = 'X-Replication-Warning';
const PLAIN_NAME = /^[A-Za-z0-9_-]{1,64}$/;
const ENTRIES_MAX = 16;
const BYTES_MAX = 1024;
/** `, more=` and as many digits as a body of a mebibyte can need. */
const MORE_BYTES = 16;

/** Names of the properties that a body's schema, and the schema of its items, have. */
export interface KnownNames {
  readonly list: 'targets' | 'rules';
  readonly item: ReadonlySet<string>;
}

/** @param schema a schema of a body: one list, whose items are `$defs.<itemName>` */
export function knownNames(schema: object, list: KnownNames['list'], itemName: string): KnownNames {
  const { $defs } = schema as {
    readonly $defs: Readonly<Record<string, { readonly properties: object } | undefined>>;
  };
  return { list, item: new Set(Object.keys($defs[itemName]?.properties ?? {})) };
}

/** @param body valid, so that its list holds objects */
export function ignoredEntries(body: object, { list, item }: KnownNames): string[] {
  const entries: string[] = [];
  for (const name of Object.keys(body)) if (name !== list) entries.push(`ignored=${plain(name)}`);
  const items = (body as Readonly<Record<string, readonly object[]>>)[list] ?? [];
  items.forEach((properties, index) => {
    for (const name of Object.keys(properties)) {
      if (!item.has(name)) entries.push(`ignored=${list}.${index}.${plain(name)}`);
    }
  });
  return entries;
}

/** @param inputs as they were sent; their ids without regard to case */
export function droppedEntries(inputs: readonly RuleInput[], before: Configuration): string[] {
  const stored = new Map(before.rules.map((rule) => [rule.id, rule]));
  return inputs.flatMap(({ id, prefix, synchronous }, index) => {
    const old = stored.get(id.toLowerCase());
    const isPrefixDropped = old !== undefined && old.prefix !== '' && prefix === undefined;
    const isSynchronousDropped = old?.synchronous === true && synchronous === undefined;
    return [
      ...(isPrefixDropped ? [`dropped=rules.${index}.prefix`] : []),
      ...(isSynchronousDropped ? [`dropped=rules.${index}.synchronous`] : []),
    ];
  });
}

/** Rules that the save of targets disabled. */
export function disabledEntries({ before, after }: ConfigurationChange): string[] {
  return after.rules
    .filter((rule, index) => !rule.enabled && before.rules[index]?.enabled === true)
    .map(({ id }) => `disabled=${id}`);
}

/** Each kind once, over all targets. */
export function exemptEntries(targets: readonly Target[]): string[] {
  const kinds = new Set(targets.flatMap(({ exemptKinds }) => exemptKinds));
  return [...kinds].sort().map((kind) => `exempt=${kind}`);
}

/**
 * Sets the header where there is something to say: at most 16 entries and 1 KiB, and how many more there
 * are. What a caller can make up in any number, ignored properties, gives way to the rest.
 */
export function setWarnings(
  ctx: Context,
  ignored: readonly string[],
  rest: readonly string[],
): void {
  const text = warningText(ignored, rest);
  if (text !== '') ctx.res.setHeader(HEADER, text);
}

/** Pure; the empty text where there is nothing to say. */
export function warningText(ignored: readonly string[], rest: readonly string[]): string {
  let bytes = MORE_BYTES;
  let left = ENTRIES_MAX;
  const takeWhatFits = (entries: readonly string[]): readonly string[] => {
    const taken: string[] = [];
    for (const entry of entries) {
      if (left === 0 || bytes + entry.length + 2 > BYTES_MAX) break;
      bytes += entry.length + 2;
      left -= 1;
      taken.push(entry);
    }
    return taken;
  };
  const taken = takeWhatFits(rest);
  const shown = [...takeWhatFits(ignored), ...taken];
  const more = ignored.length + rest.length - shown.length;
  return [...shown, ...(more > 0 ? [`more=${more}`] : [])].join(', ');
}

function plain(name: string): string {
  return PLAIN_NAME.test(name) ? name : '?';
}
