/**
 * The keys that sign requests of the S3 API.
 *
 * A signature is an HMAC under the secret, so the server has to keep the secret itself and not a
 * hash: it is sealed at rest, bound to its owner and id, and shown once in the answer that makes it.
 */
import { randomBytes, randomInt } from 'node:crypto';
import type { Keyring, Sealed } from '../sealing/keyring.ts';
import type { ServerDatabase } from './database.ts';
import { serverError } from './errors.ts';

const KEYS_PER_USER_MAX = 100;
const OPENED_KEYS_MAX = 1_000;
const ID_ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const ID_PREFIX = 'AK';
const ID_RANDOM_LENGTH = 18;
const SECRET_BYTES = 30;
/** What the Credential field of an Authorization header can carry and take apart again. */
const ID_PATTERN = /^[!-~]{1,128}$/;
const AFTER_IDS = '\x7f';

export interface AccessKeyRecord {
  readonly accessKeyId: string;
  readonly userId: string;
  readonly sealedSecret: Sealed;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}

/** What may be shown of a key at any time. */
export interface AccessKeySummary {
  readonly accessKeyId: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}

export interface AccessKey {
  readonly userId: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** Thrown at start when a key from the configuration cannot be installed. */
export class AccessKeyConflictError extends Error {
  readonly code = 'AccessKeyConflict';
}

export class AccessKeys {
  readonly #database: ServerDatabase;
  readonly #keyring: Keyring;
  readonly #clock: () => number;
  /** Least recently used first; saves one decryption per request. */
  readonly #opened = new Map<string, AccessKey>();

  constructor(options: { database: ServerDatabase; keyring: Keyring; clock: () => number }) {
    this.#database = options.database;
    this.#keyring = options.keyring;
    this.#clock = options.clock;
  }

  /**
   * Makes a key; the only time that its secret is given out.
   *
   * @throws ApiError TooManyAccessKeys beyond 100 of one user
   */
  async create(userId: string): Promise<AccessKey & AccessKeySummary> {
    const accessKeyId = `${ID_PREFIX}${randomText(ID_RANDOM_LENGTH)}`;
    const secretAccessKey = randomBytes(SECRET_BYTES).toString('base64url');
    const key = { userId, accessKeyId, secretAccessKey };
    const record = this.#seal(key);
    await this.#change(() => {
      if (this.#idsOf(userId).length >= KEYS_PER_USER_MAX) throw serverError('TooManyAccessKeys');
      this.#put(record);
    });
    return { ...key, createdAt: record.createdAt };
  }

  /** The user's keys in the order of their ids, without secrets. */
  list(userId: string): AccessKeySummary[] {
    return this.#idsOf(userId).flatMap((id) => {
      const record = this.#database.accessKeys.get(id);
      return record === undefined ? [] : [{ accessKeyId: id, createdAt: record.createdAt }];
    });
  }

  /** @throws CannotOpenError when the secret was sealed under a key that is gone */
  find(accessKeyId: string): AccessKey | null {
    if (!ID_PATTERN.test(accessKeyId)) return null;
    const opened = this.#opened.get(accessKeyId);
    if (opened !== undefined) {
      this.#remember(opened);
      return opened;
    }
    const record = this.#database.accessKeys.get(accessKeyId);
    if (record === undefined) return null;
    const key = {
      userId: record.userId,
      accessKeyId,
      secretAccessKey: this.#keyring.open(record.sealedSecret, [record.userId, accessKeyId]),
    };
    this.#remember(key);
    return key;
  }

  /**
   * Sees to it that exactly this key exists: the default key of the configuration, at start.
   *
   * @throws AccessKeyConflictError when the id is not usable or belongs to another user
   */
  async ensure(key: AccessKey): Promise<void> {
    if (!ID_PATTERN.test(key.accessKeyId)) {
      throw new AccessKeyConflictError(
        'An access key id has 1 to 128 printable ASCII characters without spaces.',
      );
    }
    const existing = this.#database.accessKeys.get(key.accessKeyId);
    if (existing !== undefined && existing.userId !== key.userId) {
      throw new AccessKeyConflictError('The default access key id belongs to another account.');
    }
    if (existing !== undefined && this.#isSame(existing, key)) return;
    const record = this.#seal(key);
    await this.#change(() => this.#put(record));
    this.#opened.delete(key.accessKeyId);
  }

  #idsOf(userId: string): string[] {
    const keys = this.#database.accessKeysByUser.getKeys({
      start: [userId, ''],
      end: [userId, AFTER_IDS],
    });
    return Array.from(keys, ([, id]) => id);
  }

  #seal(key: AccessKey): AccessKeyRecord {
    const { userId, accessKeyId, secretAccessKey } = key;
    return {
      accessKeyId,
      userId,
      sealedSecret: this.#keyring.seal(secretAccessKey, [userId, accessKeyId]),
      createdAt: this.#clock(),
    };
  }

  #isSame(record: AccessKeyRecord, key: AccessKey): boolean {
    const secret = this.#keyring.open(record.sealedSecret, [record.userId, record.accessKeyId]);
    return secret === key.secretAccessKey;
  }

  #put(record: AccessKeyRecord): void {
    void this.#database.accessKeys.put(record.accessKeyId, record);
    void this.#database.accessKeysByUser.put([record.userId, record.accessKeyId], true);
  }

  #remember(key: AccessKey): void {
    this.#opened.delete(key.accessKeyId);
    this.#opened.set(key.accessKeyId, key);
    if (this.#opened.size <= OPENED_KEYS_MAX) return;
    const [oldest] = this.#opened.keys();
    if (oldest !== undefined) this.#opened.delete(oldest);
  }

  /** One transaction that rolls back when `work` throws, on disk when this resolves. */
  async #change(work: () => void): Promise<void> {
    await this.#database.commits.run(work);
  }
}

/** 5 bits of randomness a character, in the alphabet of RFC 4648 base32. */
function randomText(length: number): string {
  return Array.from({ length }, () => ID_ALPHABET[randomInt(ID_ALPHABET.length)]).join('');
}
