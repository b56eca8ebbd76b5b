/**
 * Brings the one administrator in line with the configuration at start.
 *
 * There is exactly one. What the configuration does not say stays as it is stored, so that a restart
 * without ADMIN_PASSWORD locks nobody out; a user name that it says differently renames the account,
 * which keeps its buckets and keys.
 */
import { randomBytes } from 'node:crypto';
import type { Accounts, UserRecord } from './accounts.ts';

const DEFAULT_USERNAME = 'alarik';
const DISPLAY_NAME = 'Administrator';
const GENERATED_PASSWORD_BYTES = 18;

export interface AdministratorSettings {
  readonly adminUsername: string | null;
  readonly adminPassword: string | null;
}

export interface Administrator {
  readonly user: UserRecord;
  /** Made just now, to be shown once; null where the password is known otherwise. */
  readonly generatedPassword: string | null;
}

/** @throws ApiError UsernameTaken when ADMIN_USERNAME is another account's */
export async function ensureAdministrator(
  accounts: Accounts,
  settings: AdministratorSettings,
): Promise<Administrator> {
  const stored = accounts.findAdministrator();
  if (stored === null) return await createAdministrator(accounts, settings);
  const { adminUsername, adminPassword } = settings;
  let user = stored;
  if (adminUsername !== null && adminUsername !== user.username) {
    user = await accounts.rename(user, adminUsername);
  }
  if (adminPassword !== null && (await accounts.verify(user.username, adminPassword)) === null) {
    user = await accounts.setPassword(user, adminPassword);
  }
  return { user, generatedPassword: null };
}

async function createAdministrator(
  accounts: Accounts,
  settings: AdministratorSettings,
): Promise<Administrator> {
  const generatedPassword =
    settings.adminPassword === null
      ? randomBytes(GENERATED_PASSWORD_BYTES).toString('base64url')
      : null;
  const user = await accounts.create(
    {
      name: DISPLAY_NAME,
      username: settings.adminUsername ?? DEFAULT_USERNAME,
      password: settings.adminPassword ?? generatedPassword!,
    },
    { isAdmin: true },
  );
  return { user, generatedPassword };
}
