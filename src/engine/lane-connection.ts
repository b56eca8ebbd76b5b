/**
 * The client of one lane, for as long as its target is reached and signed for in the same way. A
 * replaced client is closed after the last claim that uses it: what it has sent may still arrive.
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
  #users = 0;
  #isRetired = false;

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

  /** Returns the way to say that the use is over. */
  use(): () => Promise<void> {
    this.#users += 1;
    return async () => {
      this.#users -= 1;
      if (this.#users === 0 && this.#isRetired) await this.#close();
    };
  }

  /** Closes it as soon as nobody uses it. Never rejects. */
  async retire(): Promise<void> {
    this.#isRetired = true;
    if (this.#users === 0) await this.#close();
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
