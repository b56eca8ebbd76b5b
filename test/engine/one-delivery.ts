/** One delivery, of a host with one key, to a target in memory. */
import assert from 'node:assert/strict';
import { BodyMemory } from '../../src/engine/body-memory.ts';
import { deliver, type Delivery, type DeliveryContext } from '../../src/engine/deliver.ts';
import type { RequestFailure } from '../../src/model/delivery.ts';
import type { Claim, UploadState } from '../../src/model/row.ts';
import { FakeTarget } from './fake-target.ts';
import { OneKeyHost, rule } from './fixtures.ts';

export const MIB = 1024 * 1024;

export function setUpDelivery(context: Partial<DeliveryContext> = {}) {
  const host = new OneKeyHost();
  const target = new FakeTarget();
  const stored: (UploadState | null)[] = [];
  const deliverOne = (of: Claim): Promise<Delivery> =>
    deliver(of, {
      host,
      client: target,
      rules: [rule()],
      storeUpload: async (upload) => {
        target.log.push(upload === null ? 'forget' : 'store');
        stored.push(upload);
        return true;
      },
      memory: new BodyMemory(32 * MIB).of('owner'),
      extraConnections: { tryTake: () => true, release: () => undefined },
      silence: { begin: () => null, end: () => undefined },
      onCreationLost: () => void target.log.push('lost'),
      onCreated: () => undefined,
      nowMs: () => 0,
      signal: new AbortController().signal,
      ...context,
    });
  return { host, target, stored, deliverOne };
}

export async function delivered(
  running: Promise<Delivery>,
): Promise<Extract<Delivery, { kind: 'delivered' }>> {
  const delivery = await running;
  assert.equal(delivery.kind, 'delivered');
  return delivery;
}

/** With 2xx, but without proof. */
export const UNPROVEN: RequestFailure = { stage: 'unproven', status: 202, ambiguous: true };
