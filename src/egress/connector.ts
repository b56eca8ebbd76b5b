/**
 * The guarded connector: the only way in which the engine makes a socket.
 *
 * Users choose the endpoints, so an address is judged at the last moment, on the very text that is
 * connected to: a literal host, or every address that the resolver gives. One address that the
 * target may not have refuses the name altogether (a name that mixes public and private addresses is
 * an attack or a mistake, and which of them is tried first must not matter). Sockets are opened to
 * address literals only, so that nothing resolves a second time between the check and the
 * connection; TLS still verifies the certificate for the endpoint's host.
 *
 * undici does not call a `lookup` of its caller for address literals, and would resolve by itself
 * otherwise; a connector of our own leaves it no choice.
 */
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, rootCertificates } from 'node:tls';
import type { buildConnector } from 'undici';
import type { Stage } from '../model/delivery.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { AddressPolicy } from './address.ts';
import { sendDeleteLength } from './delete-length.ts';
import { literalAddresses } from './endpoint-policy.ts';
import type { Resolution, ResolverClock } from './resolver.ts';

/** For the whole of it: resolving, every address tried, the TLS handshake. */
export const CONNECT_TIMEOUT_MS = 10_000;
/** More would leave each of them too little of the time. */
const ADDRESSES_MAX = 8;
export const TCP_KEEP_ALIVE_MS = 60_000;

/** Why no connection was made. Its message names no address; `code` is node's or ours. */
export class ConnectFailure extends Error {
  readonly stage: Extract<Stage, 'resolve' | 'refused-address' | 'connect' | 'tls'>;
  readonly code: string;

  constructor(stage: ConnectFailure['stage'], code: string) {
    super(`No connection to the target (${stage}).`);
    this.stage = stage;
    this.code = code;
  }
}

export interface ConnectorOptions {
  readonly endpoint: Endpoint;
  /** Kinds of non-public address that an administrator's save vouched for. */
  readonly exemptKinds: readonly string[];
  readonly addresses: AddressPolicy;
  readonly resolver: { resolve(hostname: string): Promise<Resolution> };
  readonly clock: ResolverClock;
  /** Certificates (PEM) trusted besides Mozilla's, for services under a private authority. */
  readonly certificateAuthorities?: readonly string[];
  /** Ends attempts that are under way, as failures with the code `ABORT_ERR`. */
  readonly signal: AbortSignal;
  /** Called with each socket that is handed out, and whether its address is public. */
  readonly onSocket: (socket: Socket, isPublic: boolean) => void;
}

interface CheckedAddress {
  readonly address: string;
  readonly isPublic: boolean;
}

/** A `connect` for undici's dispatchers; fails with a {@link ConnectFailure} and nothing else. */
export function createGuardedConnector(options: ConnectorOptions): buildConnector.connector {
  return (_parameters, callback) => {
    // Handed over outside of the promise (what undici throws in its callback is not ours to catch),
    // yet in the same turn: undici would quietly connect again if the socket broke in between.
    connectGuarded(options).then(
      (socket) => queueMicrotask(() => callback(null, socket)),
      (error: unknown) => queueMicrotask(() => callback(asConnectFailure(error), null)),
    );
  };
}

async function connectGuarded(options: ConnectorOptions): Promise<Socket> {
  const deadlineMs = options.clock.nowMs() + CONNECT_TIMEOUT_MS;
  const addresses = await checkedAddresses(options);
  let failure = new ConnectFailure('connect', 'ETIMEDOUT');
  for (const [index, { address, isPublic }] of addresses.entries()) {
    const remainingMs = deadlineMs - options.clock.nowMs();
    if (options.signal.aborted) throw new ConnectFailure('connect', 'ABORT_ERR');
    if (remainingMs <= 0) break;
    const attempt = await dial(options, address, remainingMs / (addresses.length - index));
    if (!(attempt instanceof ConnectFailure) && !attempt.destroyed) {
      options.onSocket(attempt, isPublic);
      return attempt;
    }
    // What got furthest tells the reader most.
    if (failure.stage === 'connect' && attempt instanceof ConnectFailure) failure = attempt;
  }
  throw failure;
}

/** @throws ConnectFailure `resolve` or `refused-address` */
async function checkedAddresses(options: ConnectorOptions): Promise<readonly CheckedAddress[]> {
  const { hostname } = options.endpoint;
  const addresses = literalAddresses(hostname) ?? (await resolveName(options, hostname));
  const checked = addresses.map((address) => {
    const kind = options.addresses.classify(address);
    const mayConnect =
      kind === 'public' || (kind !== 'denied' && options.exemptKinds.includes(kind));
    // The resolver's answer is not trusted to hold addresses: node would look anything else up.
    if (!mayConnect || isIP(address) === 0) {
      throw new ConnectFailure('refused-address', 'REFUSED_ADDRESS');
    }
    return { address, isPublic: kind === 'public' };
  });
  return checked.slice(0, ADDRESSES_MAX);
}

async function resolveName(
  options: ConnectorOptions,
  hostname: string,
): Promise<readonly string[]> {
  const resolution = await options.resolver.resolve(hostname);
  if (typeof resolution === 'string') throw new ConnectFailure('resolve', 'ENOTFOUND');
  return resolution.addresses;
}

/** Connects to one address, for TLS up to a verified handshake. Never rejects. */
function dial(
  options: ConnectorOptions,
  address: string,
  timeoutMs: number,
): Promise<Socket | ConnectFailure> {
  const secure = options.endpoint.protocol === 'https:';
  return new Promise((resolve) => {
    let stage: 'connect' | 'tls' = 'connect';
    const socket = secure ? openTls(options, address) : openTcp(options, address);
    const settle = (outcome: Socket | ConnectFailure): void => {
      cancelTimer();
      options.signal.removeEventListener('abort', abort);
      if (outcome instanceof ConnectFailure) {
        socket.destroy();
      } else {
        socket.off('error', fail);
        socket.setNoDelay(true).setKeepAlive(true, TCP_KEEP_ALIVE_MS);
        sendDeleteLength(socket);
      }
      // A socket without this listener could bring the process down between two owners.
      socket.on('error', () => undefined);
      resolve(outcome);
    };
    const fail = (error: Error): void => settle(new ConnectFailure(stage, errorCode(error)));
    const abort = (): void => settle(new ConnectFailure(stage, 'ABORT_ERR'));
    const cancelTimer = options.clock.after(timeoutMs, () =>
      settle(new ConnectFailure(stage, 'ETIMEDOUT')),
    );
    options.signal.addEventListener('abort', abort);
    socket.on('error', fail);
    socket.once('connect', () => (stage = secure ? 'tls' : 'connect'));
    socket.once(secure ? 'secureConnect' : 'connect', () => settle(socket));
  });
}

function openTcp(options: ConnectorOptions, address: string): Socket {
  return connectTcp({ host: address, port: options.endpoint.port });
}

function openTls(options: ConnectorOptions, address: string): Socket {
  const { hostname, port } = options.endpoint;
  const { certificateAuthorities } = options;
  return connectTls({
    host: address,
    port,
    // RFC 6066 section 3: no trailing dot, and no address literals (those are verified as `host`).
    ...(isIP(hostname) === 0 ? { servername: hostname.replace(/\.$/, '') } : {}),
    ALPNProtocols: ['http/1.1'],
    // Said aloud, because an environment variable of node's would change the default.
    rejectUnauthorized: true,
    ...(certificateAuthorities === undefined
      ? {}
      : { ca: [...rootCertificates, ...certificateAuthorities] }),
  });
}

function asConnectFailure(error: unknown): ConnectFailure {
  return error instanceof ConnectFailure ? error : new ConnectFailure('connect', 'UNKNOWN');
}

/** node's code of the error, kept only where it looks like one. */
export function errorCode(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' && /^[A-Za-z0-9_]{1,64}$/.test(code) ? code : 'UNKNOWN';
}
