/**
 * Targets: from a request body to what is kept, and from there to an answer.
 *
 * Fields are copied by name, in both directions: nothing that a caller invents is stored, and no
 * secret leaves.
 */
import type { ErrorDetail } from '../json-api/errors.ts';
import { parseEndpoint } from './endpoint.ts';
import type { TargetInput } from './generated/put-targets.ts';
import type { StoredTarget } from './generated/stored-configuration.ts';
import { NEW_ID } from './ids.ts';

/** Stands for the secret access key in every answer; sent back, it keeps the stored one. */
export const SECRET_MASK = '\u2022'.repeat(8);

/** A target as the engine and the API see it: everything but the secret. */
export type Target = Omit<StoredTarget, 'secret'>;

/** A target to be saved: its id is final, its secret is new or, where null, the stored one. */
export interface TargetDraft extends Target {
  readonly newSecret: string | null;
}

/** A target in an answer: the seven fields of the specification, in its order. */
export interface TargetAnswer {
  readonly id: string;
  readonly endpoint: string;
  readonly targetBucket: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly region: string;
  readonly enabled: boolean;
}

/**
 * What a valid body asks for; `exemptKinds` is filled in once the endpoints are judged.
 *
 * @param newId makes a random UUID for each target that asks for one
 */
export function draftTargets(inputs: readonly TargetInput[], newId: () => string): TargetDraft[] {
  return inputs.map((input) => ({
    id: input.id === NEW_ID ? newId() : input.id.toLowerCase(),
    endpoint: input.endpoint,
    targetBucket: input.targetBucket,
    accessKeyId: input.accessKeyId,
    newSecret: input.secretAccessKey === SECRET_MASK ? null : input.secretAccessKey,
    region: input.region,
    enabled: input.enabled,
    exemptKinds: [],
  }));
}

/** A new target has no stored secret that the mask could stand for. */
export function findMasksOfNewTargets(inputs: readonly TargetInput[]): ErrorDetail[] {
  return inputs.flatMap((input, index) =>
    input.id === NEW_ID && input.secretAccessKey === SECRET_MASK
      ? [{ path: `/targets/${index}/secretAccessKey`, message: 'must be real for a new target' }]
      : [],
  );
}

export function answerTarget(target: Target): TargetAnswer {
  return {
    id: target.id,
    endpoint: target.endpoint,
    targetBucket: target.targetBucket,
    accessKeyId: target.accessKeyId,
    secretAccessKey: SECRET_MASK,
    region: target.region,
    enabled: target.enabled,
  };
}

/** Where objects arrive: service, path below it and bucket. */
export function placeOf({
  endpoint,
  targetBucket,
}: Pick<Target, 'endpoint' | 'targetBucket'>): string {
  const parsed = parseEndpoint(endpoint);
  return JSON.stringify([parsed?.origin ?? endpoint, parsed?.pathPrefix ?? '', targetBucket]);
}
