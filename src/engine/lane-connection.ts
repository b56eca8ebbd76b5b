/**
 * The client of one lane, for as long as its target is reached and signed for in the same way.
 *
 * A replaced client lets the requests end that are under way, since what it has sent may still arrive,
 * and begins no other: a delivery of many requests must neither go on to a target that was paused or
 * corrected meanwhile, nor open connections that the present configuration does not allow.
 */
import type { TargetClient } from '../egress/target-client.ts';
import type { Logger } from '../host.ts';
import { placeOf } from '../model/target.ts';
import type { UsableTarget } from './engine-types.ts';

export class LaneConnection {
  readonly client: TargetClient;
  /** Where it leads. */
  readonly place: string;
  readonly #fingerprint: string;
  /** The last one that fitted. */
  #access: UsableTarget;
  readonly #logger: Logger;
  #retired: Promise<void> | null = null;

  constructor(client: TargetClient, access: UsableTarget, logger: Logger) {
    this.client = client;
    this.place = placeOf(access.target);
    this.#fingerprint = fingerprintOf(access);
    this.#access = access;
    this.#logger = logger;
  }

  fits(access: UsableTarget): boolean {
    if (access === this.#access) return true;
    if (this.#fingerprint !== fingerprintOf(access)) return false;
    this.#access = access;
    return true;
  }

  /** Resolves when the requests that were under way have ended. Never rejects. */
  retire(): Promise<void> {
    this.#retired ??= this.#close();
    return this.#retired;
  }

  async #close(): Promise<void> {
    try {
      await this.client.close();
    } catch (error) {
      this.#logger.warn({ err: error }, 'the connections to a target could not be closed');
    }
  }
}

/** Whatever changes how the target is reached or what it says. */
function fingerprintOf({ target, secretAccessKey }: UsableTarget): string {
  const { endpoint, targetBucket, accessKeyId, region, exemptKinds } = target;
  return JSON.stringify([
    endpoint,
    targetBucket,
    accessKeyId,
    secretAccessKey,
    region,
    exemptKinds,
  ]);
}
