/** Finds the keys that seal the targets' secrets: in the options' place, or in a file of our own. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Keyring, parseKeys } from '../sealing/keyring.ts';
import { readOrCreateSecret, readPrivateFile, type WarnOfSecret } from '../sealing/secret-file.ts';

export interface SealingOptions {
  readonly environmentVariable?: string;
  readonly file?: string;
}

/**
 * @param environment the process's environment
 * @param warn is told of a file that its group can read
 * @throws Error where the world can read the file, and one that names the variable or file whose keys are missing or malformed, never a key
 */
export function openKeyring(
  options: SealingOptions,
  dataDirectory: string,
  environment: NodeJS.ProcessEnv,
  warn?: WarnOfSecret,
): Keyring {
  if (options.environmentVariable !== undefined) {
    const name = options.environmentVariable;
    return keyringFrom(environment[name] ?? '', `environment variable ${name}`);
  }
  if (options.file !== undefined) {
    return keyringFrom(readPrivateFile(options.file, warn), options.file);
  }
  mkdirSync(dataDirectory, { recursive: true, mode: 0o700 });
  const file = join(dataDirectory, 'replication.key');
  return keyringFrom(readOrCreateSecret(file, warn), file);
}

function keyringFrom(text: string, source: string): Keyring {
  try {
    return new Keyring(parseKeys(text));
  } catch (error) {
    throw new Error(`Sealing keys from ${source}: ${(error as Error).message}`, { cause: error });
  }
}
