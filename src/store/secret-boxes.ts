/**
 * Secrets of targets at rest, each bound to where it is kept and to where it may be sent.
 *
 * Whoever can write the environment's files, but has no key, could otherwise change the endpoint beside
 * a box, or add an exempt kind, and have the server sign for a service of theirs. A box whose record was
 * changed like that does not open any more. What only says how it is signed for (region, bucket, path)
 * is not bound, as the secret goes to the same account of the same service with any of it.
 */
import type { SecretBoxes } from '../model/configuration.ts';
import { parseEndpoint } from '../model/endpoint.ts';
import type { SealedSecret, StoredTarget } from '../model/generated/stored-configuration.ts';
import type { Target } from '../model/target.ts';
import type { Keyring } from '../sealing/keyring.ts';

/** What a box is bound to: the additional data of its seal. */
export function boxContext(bucketId: string, target: Target): readonly string[] {
  const origin = parseEndpoint(target.endpoint)?.origin ?? target.endpoint;
  return [bucketId, target.id, origin, target.accessKeyId, ...target.exemptKinds];
}

/** @returns the boxes of one keyring */
export function createSecretBoxes(keyring: Keyring): SecretBoxes {
  return {
    seal: (bucketId: string, target: Target, secret: string): SealedSecret =>
      keyring.seal(secret, boxContext(bucketId, target)),
    open(bucketId: string, target: StoredTarget): string | null {
      try {
        return keyring.open(target.secret, boxContext(bucketId, target));
      } catch {
        return null;
      }
    },
  };
}
