/**
 * The key file that a program makes for itself beside its store, and never makes anew where the store
 * holds secrets that only the lost one opens.
 */
import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { Keyring, parseKeys, type Sealed } from './keyring.ts';
import { readOrCreateSecret, type WarnOfSecret } from './secret-file.ts';

export interface OwnKeyOptions {
  /** Absolute. */
  readonly file: string;
  /** What the store holds; looked at until one was sealed under a key of the file. */
  readonly sealed: Iterable<Pick<Sealed, 'keyId'>>;
  /** Completes "or, where the key is lost for good, ". */
  readonly otherwise: string;
  readonly warn?: WarnOfSecret;
}

/** Thrown in place of a start whose secrets nobody can open; nothing was changed. */
export class LostKeyError extends Error {
  readonly code = 'LostKey';
}

/** @throws LostKeyError where the file is missing, holds no key, or none of those that sealed */
export function openOwnKey({ file, sealed, otherwise, warn }: OwnKeyOptions): Keyring {
  const [first] = sealed;
  if (first !== undefined && !existsSync(file)) throw lost(file, 'it is missing', otherwise);
  let keyring: Keyring;
  const text = readOrCreateSecret(file, warn);
  try {
    keyring = new Keyring(parseKeys(text));
  } catch (error) {
    throw lost(file, 'it does not hold 32 bytes in base64', otherwise, error);
  }
  if (first === undefined) return keyring;
  for (const one of sealed) if (keyring.knows(one)) return keyring;
  throw lost(file, 'it is not the key that sealed them', otherwise);
}

function lost(file: string, what: string, otherwise: string, cause?: unknown): LostKeyError {
  return new LostKeyError(
    `The secrets in the store do not open with the key in ${file}, ${what}: put ${basename(file)} back ` +
      'from where you keep it (it is not in what "alarik-replication backup" makes), or, where the key is ' +
      `lost for good, ${otherwise}.`,
    cause === undefined ? undefined : { cause },
  );
}
