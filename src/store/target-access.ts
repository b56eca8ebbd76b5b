/**
 * Targets as they are now, with the secret in clear for the one connection that needs it. A secret is
 * opened once per change, since every delivery asks.
 */
import type { SecretBoxes } from '../model/configuration.ts';
import type { TargetAccess } from '../model/queue.ts';
import type { LaneRef } from '../model/row.ts';
import type { Keyring } from '../sealing/keyring.ts';
import type { ConfigurationCache } from './configuration-cache.ts';
import { retryMarkOf } from './lane-reports.ts';
import { Memo } from './memo.ts';
import { createSecretBoxes } from './secret-boxes.ts';
import type { Tables } from './tables.ts';

const ABSENT = { kind: 'absent' } as const;

export class TargetAccesses {
  readonly #tables: Pick<Tables, 'counters' | 'laneReports'>;
  readonly #configurations: ConfigurationCache;
  readonly #boxes: SecretBoxes;
  /** By bucket id and target id. */
  readonly #known: Memo<string, TargetAccess>;

  constructor(
    tables: Pick<Tables, 'counters' | 'laneReports'>,
    configurations: ConfigurationCache,
    keyring: Keyring,
  ) {
    this.#tables = tables;
    this.#configurations = configurations;
    this.#boxes = createSecretBoxes(keyring);
    this.#known = new Memo(tables.counters);
  }

  of(lane: LaneRef): TargetAccess {
    const { bucket, targetId } = lane;
    return this.#known.get(`${bucket.id}\n${targetId}`, () => this.#read(lane)) ?? ABSENT;
  }

  #read(lane: LaneRef): TargetAccess | undefined {
    const { bucket, targetId } = lane;
    const { targets, rules } = this.#configurations.of(bucket);
    const found = targets.find(({ id }) => id === targetId);
    if (found === undefined) return undefined;
    const { secret, ...target } = found;
    const secretAccessKey = this.#boxes.open(bucket.id, found);
    if (secretAccessKey === null) return { kind: 'sealed', target };
    return {
      kind: 'usable',
      target,
      secretAccessKey,
      rules: rules.filter((rule) => rule.enabled && rule.targetId === targetId),
      retryMark: retryMarkOf(this.#tables, lane),
    };
  }
}
