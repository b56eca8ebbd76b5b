/** The secrets of one run: each made for one place, and known to the scanner under that place's name. */
import { randomInt } from 'node:crypto';
import { SecretScanner } from '../support/secret-scanner.ts';

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
/** JSON, URLs, XML or shells write each of these in another way. */
const SPECIALS = ['"', '\\', '/', '%', '&'];
/** Shorter than every window of the scanner, so that each window holds random letters. */
const PIECE_LENGTH = 9;

export class KnownSecrets {
  readonly scanner = new SecretScanner();
  readonly #values = new Map<string, string | Uint8Array>();

  /** Fits where a target's secret access key or a password does. */
  make(name: string): string {
    const secret = SPECIALS.map((special) => randomLetters() + special).join('') + randomLetters();
    this.know(name, secret);
    return secret;
  }

  /** A secret that the server made, or bytes that are one. */
  know(name: string, secret: string | Uint8Array): void {
    this.#values.set(name, secret);
    this.scanner.add(name, secret);
  }

  get count(): number {
    return this.#values.size;
  }

  /** The text that was made for that place. */
  valueOf(name: string): string {
    const value = this.#values.get(name);
    if (typeof value !== 'string') throw new Error(`There is no secret called ${name}.`);
    return value;
  }
}

function randomLetters(): string {
  return Array.from({ length: PIECE_LENGTH }, () => LETTERS[randomInt(LETTERS.length)]).join('');
}
