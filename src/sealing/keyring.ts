/**
 * Seals short secrets for storage with AES-256-GCM (NIST SP 800-38D).
 *
 * A sealed secret is bound to the place where it is kept (its *context*, additional data): copied to
 * another record it does not open. Keys are known by a fingerprint, so that nobody has to name them;
 * the newest seals, all open.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';

const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Nonces that are drawn at once: asking the system costs more than all else that sealing does. */
const NONCES_DRAWN = 256;

/** A secret at rest: the id of its key, and nonce, tag and ciphertext in this order. */
export interface Sealed {
  readonly keyId: string;
  readonly box: Uint8Array;
}

/** Thrown when no key opens a secret. Names no secret and no key material. */
export class CannotOpenError extends Error {
  readonly code = 'CannotOpen';
}

export class Keyring {
  readonly newestKeyId: string;
  readonly #keys: ReadonlyMap<string, Uint8Array>;
  /** Random bytes that no nonce has been made of yet. */
  #unused: Buffer = Buffer.alloc(0);

  /** @param keys 32 bytes each, the newest first, at least one */
  constructor(keys: readonly Uint8Array[]) {
    const [newest] = keys;
    if (newest === undefined) throw new Error('A keyring needs at least one key.');
    this.newestKeyId = fingerprint(newest);
    this.#keys = new Map(keys.map((key) => [fingerprint(key), key]));
  }

  /** Whether one of the keys has sealed it, as far as its key's id tells. */
  knows({ keyId }: Pick<Sealed, 'keyId'>): boolean {
    return this.#keys.has(keyId);
  }

  /** @param context where the secret is kept, for instance [bucket id, target id] */
  seal(secret: string, context: readonly string[]): Sealed {
    const key = this.#keys.get(this.newestKeyId)!;
    const nonce = this.#newNonce();
    const cipher = createCipheriv('aes-256-gcm', key, nonce);
    cipher.setAAD(additionalData(context));
    const text = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()]);
    return { keyId: this.newestKeyId, box: Buffer.concat([nonce, cipher.getAuthTag(), text]) };
  }

  #newNonce(): Buffer {
    if (this.#unused.length === 0) this.#unused = randomBytes(NONCES_DRAWN * NONCE_BYTES);
    const nonce = this.#unused.subarray(0, NONCE_BYTES);
    this.#unused = this.#unused.subarray(NONCE_BYTES);
    return nonce;
  }

  /** @throws CannotOpenError for an unknown key, another context, or damaged bytes */
  open(sealed: Sealed, context: readonly string[]): string {
    const key = this.#keys.get(sealed.keyId);
    if (key === undefined) throw new CannotOpenError(`No key ${sealed.keyId} is configured.`);
    const nonce = sealed.box.subarray(0, NONCE_BYTES);
    const tag = sealed.box.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES);
    try {
      const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
      decipher.setAAD(additionalData(context));
      decipher.setAuthTag(tag);
      const text = sealed.box.subarray(NONCE_BYTES + TAG_BYTES);
      return Buffer.concat([decipher.update(text), decipher.final()]).toString('utf8');
    } catch {
      throw new CannotOpenError('The sealed secret is damaged or was moved from another record.');
    }
  }
}

/**
 * Reads keys from text: base64 of 32 bytes each, separated by white space or commas, newest first.
 *
 * @throws Error that tells the position of a malformed key, never its text
 */
export function parseKeys(text: string): Uint8Array[] {
  const words = text.split(/[\s,]+/).filter((word) => word !== '');
  if (words.length === 0) throw new Error('There is no key: expected base64 of 32 bytes.');
  return words.map((word, index) => {
    const key = Buffer.from(word, 'base64');
    if (key.length !== KEY_BYTES || key.toString('base64') !== word) {
      throw new Error(`Key ${index + 1} is not 32 bytes in base64 ("openssl rand -base64 32").`);
    }
    return key;
  });
}

/** Which key it is, without telling anything about it: the first 64 bits of a hash. */
function fingerprint(key: Uint8Array): string {
  return createHash('sha256').update('sealing key\0').update(key).digest('hex').slice(0, 16);
}

/** Unambiguous for any strings: ["a", "b"] and ["a,b"] differ. */
function additionalData(context: readonly string[]): Buffer {
  return Buffer.from(JSON.stringify(context));
}
