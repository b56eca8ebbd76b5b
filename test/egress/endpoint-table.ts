/**
 * What tables of endpoints are made of, and the server and name server that they are judged on. The
 * tables are in hostile-endpoints.ts and innocent-endpoints.ts; endpoint-table.test.ts judges them.
 */

/** `invalid`, `public`, `unresolved`, `denied`, or the kinds of non-public address joined by spaces. */
export type Expected = string;

export interface Row {
  readonly group: string;
  readonly endpoint: string;
  readonly expected: Expected;
}

/** What the operator of the table's server has set, and that machine's addresses. */
export const policy = {
  allow: ['10.99.0.0/16', 'fd99::/32', '168.63.129.17/32'],
  deny: ['45.66.0.0/16', '10.99.66.0/24', '2a00:dead::/32'],
  ownAddresses: ['127.0.0.1', '::1', '198.41.0.4', '10.1.1.1', '2a01:4f8::1', 'fe80::1%eth0'],
};

/** What its name server answers; `never` does not answer, and every other name does not exist. */
export const names: Readonly<Record<string, readonly string[] | 'never'>> = {
  'public.example': ['93.184.215.14', '2606:2800:21f:cb07::1'],
  'public.example.': ['93.184.215.14'],
  'private.example': ['10.0.0.1'],
  'private.example.': ['10.0.0.1'],
  'loopback.example': ['127.0.0.1'],
  'loopback6.example': ['::1'],
  'metadata.example': ['169.254.169.254'],
  'metadata6.example': ['fd00:ec2::254'],
  'mapped.example': ['::ffff:127.0.0.1'],
  'nat64.example': ['64:ff9b::a00:1'],
  'zoned.example': ['fe80::1%eth0'],
  'zoned-public.example': ['2606:4700::1111%eth0'],
  'unspecified.example': ['0.0.0.0'],
  'own.example': ['198.41.0.4'],
  'one-of-two.example': ['93.184.215.14', '192.168.1.1'],
  'two-of-two.example': ['192.168.1.1', '93.184.215.14'],
  'one-of-two6.example': ['2606:4700::1111', '::1'],
  'many.example': ['10.0.0.1', '127.0.0.1', '192.168.0.1', '169.254.0.1', '8.8.8.8'],
  'denied.example': ['45.66.1.1'],
  'denied-too.example': ['93.184.215.14', '10.0.0.1', '45.66.1.1'],
  'allowed.example': ['10.99.1.1'],
  'garbage.example': ['not an address'],
  'empty.example': [],
  'never.example': 'never',
  '127.0.0.1.nip.example': ['127.0.0.1'],
  'xn--mnchen-3ya.example': ['10.0.0.7'],
  'fcdn.example.com': ['93.184.215.14'],
  '10.example.com': ['93.184.215.14'],
  '127.0.0.1.example.com': ['93.184.215.14'],
  'localhost.example.com': ['93.184.215.14'],
  'xn--bcher-kva.example': ['93.184.215.14'],
  'xn--ls8h.example': ['93.184.215.14'],
};

/** One row for each spelling. Splits at white space, so that a group of plain spellings reads as a paragraph. */
export function rows(group: string, expected: Expected, endpoints: string): Row[] {
  return exactly(group, expected, endpoints.trim().split(/\s+/));
}

/** For spellings that contain white space or invisible characters themselves. */
export function exactly(group: string, expected: Expected, endpoints: readonly string[]): Row[] {
  return endpoints.map((endpoint) => ({ group, endpoint, expected }));
}
