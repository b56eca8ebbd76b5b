/** The lease of the in-memory outbox. */
import { LEASE_MS, LeaseLostError } from '../../src/model/lease.ts';

export class MemoryLease {
  /** Null where nobody holds it. */
  instance: string | null = null;
  #epoch = 0;
  #expires = 0;

  copy(): MemoryLease {
    const copy = new MemoryLease();
    copy.instance = this.instance;
    copy.#epoch = this.#epoch;
    copy.#expires = this.#expires;
    return copy;
  }

  take(instance: string, now: number, isDead: (instance: string) => boolean): number | null {
    const isFree = this.instance === null || this.instance === instance || isDead(this.instance);
    if (!isFree && this.#expires > now) return null;
    this.instance = instance;
    this.#epoch += 1;
    this.#expires = now + LEASE_MS;
    return this.#epoch;
  }

  extend(epoch: number, now: number): boolean {
    if (!this.#isHeld(epoch)) return false;
    this.#expires = now + LEASE_MS;
    return true;
  }

  giveBack(epoch: number): void {
    if (this.#isHeld(epoch)) this.instance = null;
  }

  /** @throws LeaseLostError where it is not held under that epoch */
  assert(epoch: number): void {
    if (!this.#isHeld(epoch)) throw new LeaseLostError();
  }

  #isHeld(epoch: number): boolean {
    return this.instance !== null && this.#epoch === epoch;
  }
}
