/**
 * Reads a target's endpoint: the one place that decides what is a valid endpoint and what it means.
 *
 * The WHATWG parser repairs much that its author cannot have meant (`https:x`, `https:///x`,
 * back-slashes, embedded line breaks, an empty `?`). A pattern therefore refuses those first, and
 * only what passes it is parsed. Everybody who classifies, compares or connects uses the parsed
 * form, so that no two of them can read one text differently.
 */

const ENDPOINT_CHARACTERS_MAX = 2048;
const HOST_CHARACTERS_MAX = 253;
const LABEL_CHARACTERS_MAX = 63;

// No `u` flag: together with `i` it would let U+017F (long s) and U+212A (Kelvin sign) pass as letters.
const ENDPOINT_PATTERN =
  // eslint-disable-next-line no-control-regex -- control characters are what it refuses
  /^https?:\/\/[^\s\x00-\x1f\x7f/\\?#@]+(?:\/[A-Za-z0-9._~-]+)*\/?$/i;

const DEFAULT_PORTS = { 'http:': 80, 'https:': 443 } as const;

/** A valid endpoint, as the WHATWG URL Standard normalises it. */
export interface Endpoint {
  /** Scheme, host and port in lower case, the scheme's own port left out: equal means same origin. */
  readonly origin: string;
  readonly protocol: 'http:' | 'https:';
  /**
   * Lower case, international names in their ASCII form, IPv4 in dotted decimal, IPv6 compressed and
   * without brackets. A name keeps its trailing dot; zones (`fe80::1%eth0`) cannot occur.
   */
  readonly hostname: string;
  /** 0 to 65,535; the scheme's own port where the text has none (`https://h` and `https://h:`). */
  readonly port: number;
  /** What comes before `/bucket/key` in a request path: `` or `/a/b`, without a trailing slash. */
  readonly pathPrefix: string;
}

/**
 * Returns null where `text` is not a valid endpoint: `http` or `https`, a host, perhaps a port and a
 * plain path, and nothing else (no credentials, query, fragment, `.` or `..` segment). Characters
 * are counted as code points, as JSON Schema counts them; the host is measured in its normalised
 * form, with its trailing dot. Pure.
 */
export function parseEndpoint(text: string): Endpoint | null {
  if (!hasValidLength(text) || !ENDPOINT_PATTERN.test(text)) return null;
  if (hasDotSegment(text)) return null;
  const url = parseUrl(text);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) return null;
  const bracketed = url.hostname.startsWith('[');
  if (!bracketed && !isHostname(url.hostname)) return null;
  return {
    origin: url.origin,
    protocol: url.protocol,
    hostname: bracketed ? url.hostname.slice(1, -1) : url.hostname,
    port: url.port === '' ? DEFAULT_PORTS[url.protocol] : Number(url.port),
    pathPrefix: url.pathname.replace(/\/$/, ''),
  };
}

/** The first comparison keeps a text of a mebibyte from being split into code points. */
function hasValidLength(text: string): boolean {
  return (
    text.length <= ENDPOINT_CHARACTERS_MAX ||
    (text.length <= 2 * ENDPOINT_CHARACTERS_MAX && [...text].length <= ENDPOINT_CHARACTERS_MAX)
  );
}

/** The parser would resolve such segments silently. The path holds no `%`, so there is no other spelling. */
function hasDotSegment(text: string): boolean {
  const [, , , ...segments] = text.split('/');
  return segments.some((segment) => segment === '.' || segment === '..');
}

function parseUrl(text: string): URL | null {
  try {
    return new URL(text);
  } catch {
    return null;
  }
}

/** RFC 1035 section 2.3.4; an empty label (`a..b`, `.a`) names nothing. */
function isHostname(hostname: string): boolean {
  if (hostname.length > HOST_CHARACTERS_MAX) return false;
  return hostname
    .replace(/\.$/, '')
    .split('.')
    .every((label) => label.length >= 1 && label.length <= LABEL_CHARACTERS_MAX);
}
