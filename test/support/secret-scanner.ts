/**
 * Finds secrets in bytes, whole or in pieces, in any form that software writes text in.
 *
 * A leak is seldom the whole text: V8 quotes ten characters on each side of a JSON error. So every
 * window of a form is looked for: 10 bytes of plain text, 12 of base64 (9 bytes) and 20 of hex (10
 * bytes), long enough that random ids do not match by chance.
 */

const PLAIN_WINDOW = 10;
const BASE64_WINDOW = 12;
const HEX_WINDOW = 20;

export interface Finding {
  readonly secret: string;
  readonly form: string;
  readonly place: string;
}

interface Needle {
  readonly secret: string;
  readonly form: string;
}

export class SecretScanner {
  /** By window length, then by the window itself, one character a byte. */
  readonly #windows = new Map<number, Map<string, Needle>>();

  /**
   * @param name what findings call it
   * @param secret text, or bytes such as a key's; at least 10 of them
   */
  add(name: string, secret: string | Uint8Array): void {
    const bytes = Buffer.from(secret as string);
    if (bytes.length < PLAIN_WINDOW)
      throw new Error(`${name} is too short to be told from chance.`);
    const addForm = (form: string, text: string, window: number): void =>
      this.#add({ secret: name, form }, text, window);
    addForm('plain', bytes.toString('latin1'), PLAIN_WINDOW);
    addForm(
      'UTF-16',
      Buffer.from(bytes.toString('latin1'), 'utf16le').toString('latin1'),
      HEX_WINDOW,
    );
    addForm('hex', bytes.toString('hex'), HEX_WINDOW);
    addForm('hex', bytes.toString('hex').toUpperCase(), HEX_WINDOW);
    for (const alphabet of ['base64', 'base64url'] as const) {
      for (const skipped of [0, 1, 2])
        addForm('base64', alignedBase64(bytes, skipped, alphabet), BASE64_WINDOW);
    }
    if (typeof secret !== 'string') return;
    addForm('JSON', latin1(JSON.stringify(secret).slice(1, -1)), PLAIN_WINDOW);
    addForm(
      'JSON in JSON',
      latin1(JSON.stringify(JSON.stringify(secret)).slice(3, -3)),
      PLAIN_WINDOW,
    );
    addForm('URL', encodeURIComponent(secret), PLAIN_WINDOW);
    addForm('form', new URLSearchParams([['', secret]]).toString().slice(1), PLAIN_WINDOW);
  }

  /** Each secret and form at most once. */
  scan(place: string, content: string | Uint8Array): Finding[] {
    const text = Buffer.from(content as string).toString('latin1');
    const found = new Map<string, Finding>();
    for (const [length, windows] of this.#windows) {
      for (let at = 0; at + length <= text.length; at += 1) {
        const needle = windows.get(text.slice(at, at + length));
        if (needle === undefined) continue;
        found.set(`${needle.secret}\0${needle.form}`, { ...needle, place });
      }
    }
    return [...found.values()];
  }

  #add(needle: Needle, text: string, length: number): void {
    const windows = this.#windows.get(length) ?? new Map<string, Needle>();
    this.#windows.set(length, windows);
    for (let at = 0; at + length <= text.length; at += 1) {
      const window = text.slice(at, at + length);
      if (!windows.has(window)) windows.set(window, needle);
    }
  }
}

/** As it reads inside a longer base64 text that begins so many bytes of a group earlier. */
function alignedBase64(bytes: Buffer, skipped: number, alphabet: 'base64' | 'base64url'): string {
  const whole = bytes.subarray(skipped);
  return whole.subarray(0, whole.length - (whole.length % 3)).toString(alphabet);
}

function latin1(text: string): string {
  return Buffer.from(text).toString('latin1');
}
