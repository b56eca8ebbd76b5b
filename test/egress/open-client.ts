/** Clients of targets on loopback, and what their requests came to. */
import { createAddressPolicy } from '../../src/egress/address.ts';
import {
  BoundedResolver,
  type Resolution,
  type Lookup,
  type ResolverClock,
} from '../../src/egress/resolver.ts';
import { createTargetClient, type TargetClient } from '../../src/egress/target-client.ts';
import type { RequestFailure, RequestResult } from '../../src/model/delivery.ts';
import { parseEndpoint } from '../../src/model/endpoint.ts';
import type { TestContext } from '../support/scripted-target.ts';
import { createRealClock } from '../support/real-clock.ts';

export interface ClientSettings {
  readonly port: number;
  readonly scheme?: 'http' | 'https';
  /** As it stands in an endpoint. */
  readonly host?: string;
  readonly pathPrefix?: string;
  readonly exemptKinds?: readonly string[];
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
  readonly lookup?: Lookup;
  readonly clock?: ResolverClock;
  readonly wallClockMs?: () => number;
  readonly region?: string;
  readonly connections?: number;
  readonly certificateAuthorities?: readonly string[];
}

/** A client of a target saved by an administrator on loopback, unless the settings say otherwise. */
export function openClient(t: TestContext, settings: ClientSettings): TargetClient {
  const { scheme = 'http', host = '127.0.0.1', port, pathPrefix = '' } = settings;
  const endpoint = parseEndpoint(`${scheme}://${host}:${port}${pathPrefix}`);
  if (endpoint === null) throw new Error(`Not an endpoint: ${host}`);
  const clock = settings.clock ?? createRealClock();
  const client = createTargetClient({
    connection: {
      endpoint,
      targetBucket: 'backup',
      accessKeyId: 'AKIDEXAMPLE',
      secretAccessKey: 'secret',
      region: settings.region ?? 'us-east-1',
      exemptKinds: settings.exemptKinds ?? ['loopback'],
    },
    addresses: createAddressPolicy({
      allow: settings.allow ?? [],
      deny: settings.deny ?? [],
      ownAddresses: () => [],
    }),
    resolver: ofOneOwner(
      new BoundedResolver({
        lookup: settings.lookup ?? (() => Promise.reject(new Error('No DNS in tests.'))),
        clock: createRealClock(),
        concurrency: 2,
        cacheMs: 0,
      }),
    ),
    clock: {
      nowMs: () => clock.nowMs(),
      after: (delayMs, callback) => clock.after(delayMs, callback),
      wallClockMs: settings.wallClockMs ?? Date.now,
    },
    connections: settings.connections ?? 2,
    ...(settings.certificateAuthorities === undefined
      ? {}
      : { certificateAuthorities: settings.certificateAuthorities }),
  });
  t.after(() => client.destroy());
  return client;
}

export const PLAIN = { systemHeaders: {}, userMetadata: {}, tags: {} } as const;

export function valueOf<T>(result: RequestResult<T>): T {
  if (!result.ok) throw new Error(`Failed: ${JSON.stringify(result.failure)}`);
  return result.value;
}

export function failureOf(result: RequestResult<unknown>): RequestFailure {
  if (result.ok) throw new Error(`Succeeded: ${JSON.stringify(result.value)}`);
  return result.failure;
}

function ofOneOwner(resolver: BoundedResolver): { resolve(name: string): Promise<Resolution> } {
  return { resolve: (name) => resolver.resolve(name, 'owner') };
}
