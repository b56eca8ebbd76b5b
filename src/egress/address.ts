/**
 * Decides whether one address is public: the function that every check of an endpoint and every
 * connection of the engine goes through.
 *
 * It takes addresses in the forms that the WHATWG parser and the system's resolver write. Anything
 * else is not public; repairing a spelling here would mean to judge another text than the one that
 * is connected to. ipaddr.js supplies the ranges, and no more than that: its parser reads `::8.8.8.8`
 * as the mapped 8.8.8.8, and its range() calls `::7f00:1`, `1::1`, `4000::1` and `fe00::1` unicast.
 */
import { isIPv4, isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';

/**
 * Why an address is not public. These names are stored with targets: never rename one.
 *
 * `reserved` is every range without a name of its own here. `zoned` is an address that would be
 * public without its zone (`%eth0`); `own` one that would be if it were not this machine's, or on a link
 * of this machine.
 */
export const nonPublicKinds = [
  'broadcast',
  'carrierGradeNat',
  'linkLocal',
  'loopback',
  'multicast',
  'nat64Local',
  'own',
  'platform',
  'private',
  'reserved',
  'siteLocal',
  'sixToFour',
  'teredo',
  'uniqueLocal',
  'unparsable',
  'unspecified',
  'zoned',
] as const;

export type NonPublicKind = (typeof nonPublicKinds)[number];

/** `denied` is for nobody, administrators included. */
export type AddressKind = 'public' | 'denied' | NonPublicKind;

export interface AddressPolicyOptions {
  /** Ranges (CIDR) that count as public. */
  readonly allow: readonly string[];
  /** Ranges (CIDR) that nobody reaches; wins over `allow`. */
  readonly deny: readonly string[];
  /**
   * This machine's interface addresses, each alone or with the prefix of its link (CIDR): another array
   * when they have changed.
   */
  readonly ownAddresses: () => readonly string[];
}

export interface AddressPolicy {
  classify(address: string): AddressKind;
}

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Range = readonly [network: Address, bits: number];

/** They route nowhere, so reaching out to them harms nobody, and examples use them (RFC 5737, 3849, 9637). */
const DOCUMENTATION = [
  '192.0.2.0/24',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '2001:db8::/32',
  '3fff::/20',
].map(parseRange);

/** Azure's platform services answer here, to the inside of a virtual machine only. */
const PLATFORM = parseRange('168.63.129.16/32');
/** The only part of IPv6 from which global unicast addresses are assigned (RFC 4291 section 2.4, IANA). */
const GLOBAL_UNICAST = parseRange('2000::/3');
/** RFC 8215: translated by rules that only the local network knows. */
const NAT64_LOCAL = parseRange('64:ff9b:1::/48');
const MAPPED = parseRange('::ffff:0:0/96');
const TEREDO = parseRange('2001::/32');

/** IPv4 addresses in these are where packets come out, and so what is judged (RFC 4291, RFC 6052). */
const SAME_AS_IPV4 = [MAPPED, parseRange('64:ff9b::/96')];

/**
 * Where an IPv6 address may carry an IPv4 address: in which range, and from which of the 16 bytes on.
 * `deny` looks at all of them; only SAME_AS_IPV4 decides what else an address is.
 */
const EMBEDDINGS: readonly { readonly range: Range; readonly bytes: readonly number[] }[] = [
  ...SAME_AS_IPV4.map((range) => ({ range, bytes: [12, 13, 14, 15] })),
  // IPv4-compatible (RFC 4291 section 2.5.5.1) and IPv4-translated (RFC 2765).
  { range: parseRange('::/96'), bytes: [12, 13, 14, 15] },
  { range: parseRange('::ffff:0:0:0/96'), bytes: [12, 13, 14, 15] },
  // Which prefix the local network uses is not known here: RFC 6052 section 2.2 skips byte 8.
  { range: NAT64_LOCAL, bytes: [6, 7, 9, 10] },
  { range: NAT64_LOCAL, bytes: [7, 9, 10, 11] },
  { range: NAT64_LOCAL, bytes: [9, 10, 11, 12] },
  { range: NAT64_LOCAL, bytes: [12, 13, 14, 15] },
  { range: parseRange('2002::/16'), bytes: [2, 3, 4, 5] },
  // Teredo's server; the client's address, in its last bytes, is inverted (RFC 4380 section 4).
  { range: TEREDO, bytes: [4, 5, 6, 7] },
];

/** ISATAP's interface identifiers, under any prefix (RFC 5214 section 6.1): bytes 8 to 11. */
const ISATAP = [
  [0, 0, 0x5e, 0xfe],
  [2, 0, 0x5e, 0xfe],
];

/** `::` and `::1` carry nothing, although they lie in the range of IPv4-compatible addresses. */
const NOT_EMBEDDED = parseRange('::/127');

/** Shorter prefixes of a link are a mistake, or a tunnel that claims the world. */
const LINK_BITS_MIN = { ipv4: 8, ipv6: 32 } as const;

/** ipaddr.js's names for ranges; one that is missing here (also a later version's) is `reserved`. */
const KINDS_BY_RANGE: ReadonlyMap<string, NonPublicKind> = new Map([
  ['unspecified', 'unspecified'],
  ['broadcast', 'broadcast'],
  ['multicast', 'multicast'],
  ['linkLocal', 'linkLocal'],
  ['loopback', 'loopback'],
  ['carrierGradeNat', 'carrierGradeNat'],
  ['private', 'private'],
  ['uniqueLocal', 'uniqueLocal'],
  ['deprecatedSiteLocal', 'siteLocal'],
  ['6to4', 'sixToFour'],
  ['teredo', 'teredo'],
]);

/**
 * Compiles the operator's lists. The order of decision: `deny`, in every form that the address may
 * take (as written, and each IPv4 address that it carries); `allow`; the ranges; zones; this
 * machine's own addresses.
 *
 * An IPv4 range in `allow` or `deny` holds for the mapped (`::ffff:a.b.c.d`) and NAT64
 * (`64:ff9b::a.b.c.d`) spellings of its addresses too. Those spellings are allowed by an IPv4 range
 * alone: `::/0` in `allow` does not open `::ffff:127.0.0.1`. A range of mapped addresses means the
 * IPv4 range.
 *
 * @throws Error where a range is not one that {@link isCidr} accepts
 */
export function createAddressPolicy(options: AddressPolicyOptions): AddressPolicy {
  const allow = options.allow.map(parseOperatorRange);
  const deny = options.deny.map(parseOperatorRange);
  const own = ownAddressTest(options.ownAddresses);
  return {
    classify(text) {
      const [bare = '', zone] = text.split('%', 2);
      const written = parseAddress(bare);
      if (written === null) return 'unparsable';
      const forms = [written, ...embeddedAddresses(written)];
      if (forms.some((form) => isWithinAny(form, deny))) return 'denied';
      const address = judgedForm(written);
      const allowed = isWithinAny(address, allow);
      const kind = allowed ? 'public' : classifyByRange(address);
      if (kind !== 'public') return kind;
      if (zone !== undefined) return 'zoned';
      return !allowed && own(address) ? 'own' : 'public';
    },
  };
}

/**
 * Whether the text is a range in CIDR notation: an address in full (dotted decimal without leading
 * zeros, or IPv6 without a zone), a slash, and a prefix length. Bits beyond the prefix are ignored.
 */
export function isCidr(text: string): boolean {
  return tryParseRange(text) !== null;
}

function classifyByRange(address: Address): 'public' | NonPublicKind {
  if (isWithinAny(address, DOCUMENTATION)) return 'public';
  if (isWithin(address, PLATFORM)) return 'platform';
  if (isWithin(address, NAT64_LOCAL)) return 'nat64Local';
  const range: string = address.range();
  if (range !== 'unicast') return KINDS_BY_RANGE.get(range) ?? 'reserved';
  return address.kind() === 'ipv4' || isWithin(address, GLOBAL_UNICAST) ? 'public' : 'reserved';
}

/** Parses the list anew only when it is another one. */
function ownAddressTest(ownAddresses: () => readonly string[]): (address: Address) => boolean {
  let list: readonly string[] = [];
  let ranges: readonly Range[] = [];
  return (address) => {
    const current = ownAddresses();
    if (current !== list) {
      list = current;
      ranges = list.flatMap(ownRanges);
    }
    return isWithinAny(address, ranges);
  };
}

/**
 * The address itself, and its link where the prefix says which; none for what is not an address. A link
 * that is numbered from a documentation block, as those of laboratories and build machines are, adds
 * nothing: such addresses are examples everywhere else, and the answer must not change with the machine.
 */
function ownRanges(text: string): Range[] {
  const [withZone = '', prefix] = text.split('/', 2);
  const written = parseAddress(withZone.split('%', 1)[0] ?? '');
  if (written === null) return [];
  const address = judgedForm(written);
  const kind = address.kind();
  const itself: Range = [address, kind === 'ipv4' ? 32 : 128];
  const isSameForm = kind === written.kind();
  const isLink = isSameForm && !isWithinAny(address, DOCUMENTATION);
  if (prefix === undefined || !isLink || !/^[0-9]{1,3}$/.test(prefix)) return [itself];
  const bits = Number(prefix);
  return bits < LINK_BITS_MIN[kind] || bits > itself[1] ? [itself] : [itself, [address, bits]];
}

/** Where packets to the address come out: the IPv4 address in a mapped or NAT64 one, else itself. */
function judgedForm(address: Address): Address {
  return isWithinAny(address, SAME_AS_IPV4) ? ipv4At(address, [12, 13, 14, 15]) : address;
}

function embeddedAddresses(address: Address): Address[] {
  if (address.kind() === 'ipv4' || isWithin(address, NOT_EMBEDDED)) return [];
  const carried = EMBEDDINGS.filter(({ range }) => isWithin(address, range)).map(({ bytes }) =>
    ipv4At(address, bytes),
  );
  const all = address.toByteArray();
  if (isWithin(address, TEREDO)) {
    carried.push(new ipaddr.IPv4(all.slice(12).map((byte) => byte ^ 0xff)));
  }
  if (ISATAP.some((identifier) => identifier.every((byte, index) => all[8 + index] === byte))) {
    carried.push(ipv4At(address, [12, 13, 14, 15]));
  }
  return carried;
}

function ipv4At(address: Address, bytes: readonly number[]): ipaddr.IPv4 {
  const all = address.toByteArray();
  return new ipaddr.IPv4(bytes.map((index) => all[index] ?? 0));
}

/** Strict, and null where the text is not an address or has a zone. */
function parseAddress(text: string): Address | null {
  if (isIPv4(text)) return ipaddr.IPv4.parse(text);
  if (!isIPv6(text) || text.includes('%')) return null;
  // The URL serialiser writes hexadecimal groups only, which ipaddr.js reads as they are.
  return ipaddr.IPv6.parse(new URL(`http://[${text}]/`).hostname.slice(1, -1));
}

function isWithinAny(address: Address, ranges: readonly Range[]): boolean {
  return ranges.some((range) => isWithin(address, range));
}

function isWithin(address: Address, [network, bits]: Range): boolean {
  return address.kind() === network.kind() && address.match(network, bits);
}

function parseOperatorRange(text: string): Range {
  const [network, bits] = parseRange(text);
  return bits >= MAPPED[1] && isWithin(network, MAPPED)
    ? [judgedForm(network), bits - MAPPED[1]]
    : [network, bits];
}

function parseRange(text: string): Range {
  const range = tryParseRange(text);
  if (range === null) throw new Error(`Not an address range in CIDR notation: ${text}`);
  return range;
}

function tryParseRange(text: string): Range | null {
  const [, address = '', prefix = ''] = /^([^/]+)\/(0|[1-9][0-9]{0,2})$/.exec(text) ?? [];
  const network = parseAddress(address);
  const bits = Number(prefix);
  if (network === null || bits > (network.kind() === 'ipv4' ? 32 : 128)) return null;
  return [network, bits];
}
