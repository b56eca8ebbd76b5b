/**
 * Judges an endpoint when it is saved: whom the server would talk to if it connected now.
 *
 * It spares users a target that would never be reached, and tells an administrator's save which
 * kinds of address it vouches for. It is not what keeps the engine away from other addresses: DNS
 * may answer differently a moment later, so every connection is checked again.
 */
import { isIP } from 'node:net';
import type { Endpoint } from '../model/endpoint.ts';
import type { AddressPolicy, NonPublicKind } from './address.ts';
import type { Resolution } from './resolver.ts';

export type EndpointVerdict =
  | { readonly verdict: 'public' }
  /** There is no address to judge yet; acceptable, as the check at connect is the one that counts. */
  | { readonly verdict: 'unresolved' }
  /** One such address is enough. `kinds` is sorted, unique and not empty. */
  | { readonly verdict: 'nonPublic'; readonly kinds: readonly NonPublicKind[] }
  /** At least one address is in the operator's `deny`: for nobody, administrators included. */
  | { readonly verdict: 'denied' };

export interface EndpointPolicyOptions {
  readonly addresses: AddressPolicy;
  readonly resolver: { resolve(hostname: string, ownerId: string): Promise<Resolution> };
}

export class EndpointPolicy {
  readonly #addresses: AddressPolicy;
  readonly #resolver: EndpointPolicyOptions['resolver'];

  constructor(options: EndpointPolicyOptions) {
    this.#addresses = options.addresses;
    this.#resolver = options.resolver;
  }

  /**
   * Never rejects; takes as long as the resolver at most, and no time for addresses and `localhost`.
   *
   * @param ownerId on whose share of the resolver
   */
  async judge(endpoint: Endpoint, ownerId: string): Promise<EndpointVerdict> {
    const literal = literalAddresses(endpoint.hostname);
    if (literal !== null) return this.#judgeAll(literal);
    const resolution = await this.#resolver.resolve(endpoint.hostname, ownerId);
    if (typeof resolution === 'string') return { verdict: 'unresolved' };
    return this.#judgeAll(resolution.addresses);
  }

  #judgeAll(addresses: readonly string[]): EndpointVerdict {
    const kinds = new Set<NonPublicKind>();
    for (const address of addresses) {
      const kind = this.#addresses.classify(address);
      if (kind === 'denied') return { verdict: 'denied' };
      if (kind !== 'public') kinds.add(kind);
    }
    if (kinds.size === 0) return { verdict: 'public' };
    return { verdict: 'nonPublic', kinds: [...kinds].sort() };
  }
}

/**
 * The addresses of a host that needs no lookup, else null: an address itself, and for `localhost`
 * and names below it both loopback addresses, whatever DNS says (RFC 6761 section 6.3).
 *
 * @param hostname as {@link Endpoint} has it
 */
export function literalAddresses(hostname: string): readonly string[] | null {
  if (isIP(hostname) !== 0) return [hostname];
  return /(?:^|\.)localhost\.?$/.test(hostname) ? ['127.0.0.1', '::1'] : null;
}
