/**
 * Where a request comes from, as far as that can be believed.
 *
 * Anybody can write `X-Forwarded-For`, and each proxy adds the address that it saw at its right end.
 * So the list is walked from the right, for as long as the one who added an entry is a proxy that the
 * operator trusts; the first address that is not one is the client's.
 */
import { BlockList, isIP, isIPv4 } from 'node:net';
import ipaddr from 'ipaddr.js';

/** `a.b.c.d:port` and `[v6]:port`, as some proxies write it. */
const WITH_PORT = /^(?:(\d+\.\d+\.\d+\.\d+):\d{1,5}|\[([0-9A-Fa-f:.]+)\](?::\d{1,5})?)$/;
/** What one subscriber usually has whole. */
const SUBSCRIBER_GROUPS = 4;
const UNKNOWN = 'unknown';

export type IsTrusted = (address: string) => boolean;

/**
 * @param ranges addresses or CIDR ranges
 * @throws RangeError that names the first one that is neither
 */
export function trustedProxies(ranges: readonly string[]): IsTrusted {
  const list = new BlockList();
  for (const range of ranges) {
    const [address = '', length, ...rest] = range.split('/');
    const isV4 = isIPv4(address);
    const lengthMax = isV4 ? 32 : 128;
    const bits = length === undefined ? lengthMax : /^\d{1,3}$/.test(length) ? Number(length) : -1;
    if (
      isIP(address) === 0 ||
      address.includes('%') ||
      rest.length > 0 ||
      bits < 0 ||
      bits > lengthMax
    ) {
      throw new RangeError(`"${range}" is neither an address nor a range such as 10.0.0.0/8.`);
    }
    list.addSubnet(address, bits, isV4 ? 'ipv4' : 'ipv6');
  }
  return (address) => list.check(address, isIPv4(address) ? 'ipv4' : 'ipv6');
}

/**
 * The client's address: IPv4 however it is written, IPv6 in its shortest form.
 *
 * @param peer the address of the connection
 * @param forwardedFor the header, all its lines joined by commas
 */
export function clientAddress(
  peer: string | undefined,
  forwardedFor: string | undefined,
  isTrusted: IsTrusted,
): string {
  let address = parseAddress(peer ?? '');
  if (address === null) return UNKNOWN;
  let rest = forwardedFor;
  while (rest !== undefined && isTrusted(address)) {
    const comma: number = rest.lastIndexOf(',');
    // What is malformed was not written by a proxy that can be believed: the walk ends before it.
    const entry = parseAddress(rest.slice(comma + 1).trim());
    if (entry === null) break;
    address = entry;
    rest = comma === -1 ? undefined : rest.slice(0, comma);
  }
  return address;
}

/** One name for all addresses that are likely one client's: an IPv4 address, or the first half of IPv6. */
export function clientOf(address: string): string {
  const plain = parseAddress(address);
  if (plain === null || isIPv4(plain)) return plain ?? address;
  const { parts } = ipaddr.IPv6.parse(plain);
  return parts
    .slice(0, SUBSCRIBER_GROUPS)
    .map((part) => part.toString(16))
    .join(':');
}

function parseAddress(text: string): string | null {
  const [, v4, v6] = WITH_PORT.exec(text) ?? [];
  const [bare = ''] = (v4 ?? v6 ?? text).split('%', 1);
  // `process` would take "1" and octal numbers for addresses too; `isIP` does not.
  return isIP(bare) === 0 ? null : ipaddr.process(bare).toString();
}
