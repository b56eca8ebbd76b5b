/**
 * Who has an account, and the one administrator among them.
 *
 * Every change is flushed to disk before it resolves. Hashing goes through one gate for logins and
 * new accounts alike: at most two at once and 32 waiting, with a share for each address and account.
 */
import { createHash, randomUUID } from 'node:crypto';
import type { ServerDatabase } from './database.ts';
import { serverError, tooManyRequests } from './errors.ts';
import {
  hashPassword,
  unmatchableHash,
  verifyPassword,
  type PasswordHash,
} from './password-hash.ts';
import { HashGate, type HashAsker } from './hash-gate.ts';

/** The server itself, at start. */
const OPERATOR: HashAsker = { address: '', account: '', isReturning: true };
/** About what it takes until half of a full queue is through. */
const FULL_QUEUE_RETRY_SECONDS = 2;

export interface UserRecord {
  readonly id: string;
  /** For people. */
  readonly name: string;
  /** For logging in; unique, upper and lower case differ. */
  readonly username: string;
  readonly isAdmin: boolean;
  readonly password: PasswordHash;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}

export interface NewUser {
  readonly name: string;
  readonly username: string;
  readonly password: string;
}

export class Accounts {
  readonly #database: ServerDatabase;
  readonly #clock: () => number;
  readonly #nobody = unmatchableHash();
  readonly #gate = new HashGate();

  constructor(options: { database: ServerDatabase; clock: () => number }) {
    this.#database = options.database;
    this.#clock = options.clock;
  }

  find(userId: string): UserRecord | null {
    return this.#database.users.get(userId) ?? null;
  }

  findByUsername(username: string): UserRecord | null {
    const id = this.#database.userIdsByName.get(nameKey(username));
    return id === undefined ? null : this.find(id);
  }

  /** The administrator, once there is one. Reads all accounts: for the start, not for requests. */
  findAdministrator(): UserRecord | null {
    for (const { value } of this.#database.users.getRange()) {
      if (value.isAdmin) return value;
    }
    return null;
  }

  /**
   * @throws ApiError UsernameTaken, TooManyRequests
   */
  async create(
    user: NewUser,
    options: { isAdmin: boolean; address?: string },
  ): Promise<UserRecord> {
    if (this.findByUsername(user.username) !== null) throw serverError('UsernameTaken');
    const { address } = options;
    const asker =
      address === undefined ? OPERATOR : { address, account: user.username, isReturning: false };
    const record: UserRecord = {
      id: randomUUID(),
      name: user.name,
      username: user.username,
      isAdmin: options.isAdmin,
      password: await this.#hashed(asker, () => hashPassword(user.password)),
      createdAt: this.#clock(),
    };
    await this.#change(() => {
      this.#assertFree(record.username);
      void this.#database.users.put(record.id, record);
      void this.#database.userIdsByName.put(nameKey(record.username), record.id);
    });
    return record;
  }

  /**
   * The user whose name and password these are, or null. Takes the same time for a name that does
   * not exist as for a wrong password.
   *
   * @param from.address whose turn it is, besides the account's
   * @param from.isReturning whether the account logged in from there before
   * @param from.beforeHashing runs when it is this call's turn; what it throws ends the call
   * @throws ApiError TooManyRequests
   */
  async verify(
    username: string,
    password: string,
    from: { address: string; isReturning: boolean; beforeHashing?: () => void } = OPERATOR,
  ): Promise<UserRecord | null> {
    const user = this.findByUsername(username);
    const { address, isReturning } = from;
    const fits = await this.#hashed({ address, account: username, isReturning }, () => {
      from.beforeHashing?.();
      return verifyPassword(password, user?.password ?? this.#nobody);
    });
    return fits ? user : null;
  }

  async setPassword(user: UserRecord, password: string): Promise<UserRecord> {
    const changed = {
      ...user,
      password: await this.#hashed(OPERATOR, () => hashPassword(password)),
    };
    await this.#change(() => void this.#database.users.put(user.id, changed));
    return changed;
  }

  /** @throws ApiError UsernameTaken */
  async rename(user: UserRecord, username: string): Promise<UserRecord> {
    const changed = { ...user, username };
    await this.#change(() => {
      this.#assertFree(username);
      void this.#database.users.put(user.id, changed);
      void this.#database.userIdsByName.remove(nameKey(user.username));
      void this.#database.userIdsByName.put(nameKey(username), user.id);
    });
    return changed;
  }

  #assertFree(username: string): void {
    if (this.#database.userIdsByName.get(nameKey(username)) !== undefined) {
      throw serverError('UsernameTaken');
    }
  }

  /** Async so that what `work` throws at once is a rejection too. */
  async #hashed<T>(asker: HashAsker, work: () => Promise<T>): Promise<T> {
    return await this.#gate.run(
      asker,
      async () => work(),
      () => tooManyRequests(FULL_QUEUE_RETRY_SECONDS),
    );
  }

  /** One transaction that rolls back when `work` throws, on disk when this resolves. */
  async #change(work: () => void): Promise<void> {
    await this.#database.commits.run(work);
  }
}

/**
 * Any text is a user name at login, but not any text can be a key: LMDB rejects long ones and NUL.
 * JSON keeps lone surrogates apart, which UTF-8 would not.
 */
function nameKey(username: string): string {
  return createHash('sha256').update(JSON.stringify(username)).digest('hex');
}
