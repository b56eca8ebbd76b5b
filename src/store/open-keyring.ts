/** Finds the keys that seal the targets' secrets: in the options' place, or in a file of our own. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { SealedSecret } from '../model/generated/stored-configuration.ts';
import { Keyring, parseKeys } from '../sealing/keyring.ts';
import { openOwnKey } from '../sealing/own-key.ts';
import { readPrivateFile, type WarnOfSecret } from '../sealing/secret-file.ts';
import type { Tables } from './tables.ts';

export interface SealingOptions {
  readonly environmentVariable?: string;
  readonly file?: string;
}

/**
 * Keys that the operator names, null where none are named. They are taken although none may open what is
 * stored: the log says so of each secret.
 *
 * @param environment the process's environment
 * @param warn is told of a file that its group can read
 * @throws Error where the world can read the file, and one that names the variable or file whose keys are missing or malformed, never a key
 */
export function namedKeyring(
  options: SealingOptions,
  environment: NodeJS.ProcessEnv,
  warn?: WarnOfSecret,
): Keyring | null {
  if (options.environmentVariable !== undefined) {
    const name = options.environmentVariable;
    return keyringFrom(environment[name] ?? '', `environment variable ${name}`);
  }
  if (options.file === undefined) return null;
  return keyringFrom(readPrivateFile(options.file, warn), options.file);
}

/**
 * The key in a file of our own, made where there is none. It is never made anew beside secrets, nor taken
 * where it opens none of them.
 *
 * @param stored what the store holds; nothing is known to be sealed where absent
 * @param warn as above
 * @throws Error that names the file and says what helps, never a key
 */
export function ownKeyring(
  dataDirectory: string,
  stored?: Pick<Tables, 'configurations'>,
  warn?: WarnOfSecret,
): Keyring {
  mkdirSync(dataDirectory, { recursive: true, mode: 0o700 });
  const file = join(dataDirectory, 'replication.key');
  return openOwnKey({
    file,
    sealed: { [Symbol.iterator]: () => sealedSecrets(stored) },
    otherwise: 'name a new one by the option sealing.file, and save each target with its secret',
    ...(warn === undefined ? {} : { warn }),
  });
}

function* sealedSecrets(
  stored: Pick<Tables, 'configurations'> | undefined,
): Generator<SealedSecret> {
  for (const { value } of stored?.configurations.range() ?? []) {
    for (const { secret } of value.targets) yield secret;
  }
}

function keyringFrom(text: string, source: string): Keyring {
  try {
    return new Keyring(parseKeys(text));
  } catch (error) {
    throw new Error(`Sealing keys from ${source}: ${(error as Error).message}`, { cause: error });
  }
}
