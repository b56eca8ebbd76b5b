/**
 * `/api/v1/users`: logging in, making accounts, and a user's own access keys.
 */
import type { Router } from '@koa/router';
import type { Context } from 'koa';
import { methodNotAllowed } from '../../json-api/answers.ts';
import { parseJsonBody } from '../../json-api/body.ts';
import type { AccessKeys } from '../access-keys.ts';
import type { Accounts, NewUser } from '../accounts.ts';
import { clientAddress, clientOf, type IsTrusted } from '../client-address.ts';
import type { KnownLogins } from '../known-logins.ts';
import type { Authenticator } from '../authenticator.ts';
import { serverError } from '../errors.ts';
import type { LoginLimits } from '../login-limits.ts';
import type { Tokens } from '../tokens.ts';
import { createBodyReader } from './request-body.ts';

export interface UserRoutesOptions {
  readonly accounts: Accounts;
  readonly accessKeys: AccessKeys;
  readonly authenticator: Authenticator;
  readonly tokens: Tokens;
  readonly loginLimits: LoginLimits;
  readonly knownLogins: KnownLogins;
  readonly allowAccountCreation: boolean;
  /** Whether an address is a proxy's whose `X-Forwarded-For` is believed. */
  readonly isTrustedProxy: IsTrusted;
}

const LOGIN = '/api/v1/users/login';
const USERS = '/api/v1/users';
const ACCESS_KEYS = '/api/v1/users/accessKeys';

export function addUserRoutes(router: Router, options: UserRoutesOptions): void {
  addLogin(router, options);
  addAccountCreation(router, options);
  addAccessKeys(router, options);
}

function addLogin(router: Router, options: UserRoutesOptions): void {
  const { accounts, knownLogins, loginLimits, tokens } = options;
  const readLogin = createBodyReader<{ username: string; password: string }>('login');
  router.post(LOGIN, parseJsonBody, async (ctx) => {
    const { username, password } = readLogin(ctx);
    const address = addressOf(ctx, options);
    const isReturning = knownLogins.has(username, address);
    const beforeHashing = (): void => {
      // Guesses of others at the same address must not keep out whoever was let in from there before;
      // a place in the gate is all that they can take, and what is guessed there costs a hash each.
      if (!isReturning) loginLimits.check(username, address);
    };
    beforeHashing();
    // Again when its turn comes: a burst that passed the first check together waits in one queue.
    const user = await accounts.verify(username, password, {
      address: clientOf(address),
      isReturning,
      beforeHashing,
    });
    if (user === null) {
      loginLimits.failed(username, address);
      throw serverError('InvalidCredentials');
    }
    loginLimits.succeeded(username, address);
    knownLogins.add(username, address);
    ctx.body = { token: await tokens.issue(user.id) };
  });
  router.all(LOGIN, methodNotAllowed(['POST']));
}

function addAccountCreation(router: Router, options: UserRoutesOptions): void {
  const readUser = createBodyReader<NewUser>('new-user');
  router.post(
    USERS,
    (_ctx, next) => {
      if (!options.allowAccountCreation) throw serverError('AccountCreationDisabled');
      return next();
    },
    parseJsonBody,
    async (ctx) => {
      const user = await options.accounts.create(readUser(ctx), {
        isAdmin: false,
        address: clientOf(addressOf(ctx, options)),
      });
      ctx.status = 201;
      ctx.body = { id: user.id, name: user.name, username: user.username };
    },
  );
  router.all(USERS, methodNotAllowed(['POST']));
}

function addAccessKeys(router: Router, options: UserRoutesOptions): void {
  const { accessKeys, authenticator } = options;
  router.get(ACCESS_KEYS, async (ctx) => {
    const { userId } = await authenticator.require(ctx);
    const keys = accessKeys.list(userId);
    ctx.body = {
      accessKeys: keys.map(({ accessKeyId, createdAt }) => ({
        accessKeyId,
        createdAt: new Date(createdAt).toISOString(),
      })),
    };
  });
  router.post(ACCESS_KEYS, async (ctx) => {
    const { userId } = await authenticator.require(ctx);
    const { accessKeyId, secretAccessKey, createdAt } = await accessKeys.create(userId);
    ctx.status = 201;
    ctx.body = { accessKeyId, secretAccessKey, createdAt: new Date(createdAt).toISOString() };
  });
  router.all(ACCESS_KEYS, methodNotAllowed(['GET', 'HEAD', 'POST']));
}

function addressOf({ req }: Context, options: Pick<UserRoutesOptions, 'isTrustedProxy'>): string {
  const forwardedFor = req.headersDistinct['x-forwarded-for']?.join(',');
  return clientAddress(req.socket.remoteAddress, forwardedFor, options.isTrustedProxy);
}
