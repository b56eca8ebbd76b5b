/** The endpoints that the random requests use, each with what it is: read by a person, not by a parser. */

export interface KnownEndpoint {
  readonly text: string;
  /** Scheme, host and port, in one spelling. */
  readonly origin: string;
  /** Whether everybody may set it. */
  readonly isPublic: boolean;
}

/** Addresses only: looking up a name takes as long as the name server pleases. */
export const knownEndpoints: readonly KnownEndpoint[] = [
  { text: 'https://93.184.216.34', origin: 'https://93.184.216.34:443', isPublic: true },
  { text: 'HTTPS://93.184.216.34:443/base', origin: 'https://93.184.216.34:443', isPublic: true },
  { text: 'https://0x5db8d822/', origin: 'https://93.184.216.34:443', isPublic: true },
  { text: 'https://93.184.216.34:8443', origin: 'https://93.184.216.34:8443', isPublic: true },
  { text: 'http://93.184.216.34', origin: 'http://93.184.216.34:80', isPublic: true },
  {
    text: 'http://[2606:4700::1111]:9000/',
    origin: 'http://[2606:4700::1111]:9000',
    isPublic: true,
  },
  {
    text: 'http://[2606:4700:0::1111]:9000',
    origin: 'http://[2606:4700::1111]:9000',
    isPublic: true,
  },
  { text: 'http://127.0.0.1:9000', origin: 'http://127.0.0.1:9000', isPublic: false },
  { text: 'http://0177.1:9000/x', origin: 'http://127.0.0.1:9000', isPublic: false },
  { text: 'https://localhost.', origin: 'https://localhost.:443', isPublic: false },
  { text: 'https://LocalHost.:443/a', origin: 'https://localhost.:443', isPublic: false },
  { text: 'http://[::ffff:192.168.0.1]', origin: 'http://[::ffff:c0a8:1]:80', isPublic: false },
];

const byText = new Map(knownEndpoints.map((endpoint) => [endpoint.text, endpoint]));

/** Undefined for a text that is no endpoint. */
export function originOf(text: string): KnownEndpoint | undefined {
  return byText.get(text);
}
