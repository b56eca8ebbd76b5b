/**
 * Who sent a request of the internal API or of a plugin's: the bearer token's user, as stored now.
 */
import type { Context } from 'koa';
import type { Principal } from '../host.ts';
import { transportError } from '../json-api/errors.ts';
import type { Accounts } from './accounts.ts';
import type { Tokens } from './tokens.ts';

/** RFC 6750 section 2.1; the scheme's name is not case-sensitive. */
const BEARER = /^Bearer +([A-Za-z0-9._~+/-]+=*) *$/i;

export class Authenticator {
  readonly #accounts: Accounts;
  readonly #tokens: Tokens;

  constructor(options: { accounts: Accounts; tokens: Tokens }) {
    this.#accounts = options.accounts;
    this.#tokens = options.tokens;
  }

  /** Null where the request carries no valid token of a user that exists. */
  async authenticate(ctx: Pick<Context, 'get'>): Promise<Principal | null> {
    const token = BEARER.exec(ctx.get('Authorization'))?.[1];
    if (token === undefined) return null;
    const userId = await this.#tokens.verify(token);
    const user = userId === null ? null : this.#accounts.find(userId);
    return user === null ? null : { userId: user.id, isAdmin: user.isAdmin };
  }

  /** @throws ApiError Unauthenticated */
  async require(ctx: Pick<Context, 'get'>): Promise<Principal> {
    const principal = await this.authenticate(ctx);
    if (principal === null) throw transportError('Unauthenticated');
    return principal;
  }
}
