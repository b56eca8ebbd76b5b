/**
 * Reads the XML of a request in one pass, within bounds that are checked before anything is kept.
 *
 * Written by hand because a general parser builds the whole tree before a limit can be asked: a
 * document of a million elements held up everybody for seconds. Here the first element beyond the
 * bound ends the reading. S3's documents need elements, text, CDATA sections and comments; attributes
 * are checked and dropped. DOCTYPE is refused, so there are no entities but the five predefined ones
 * and numeric references.
 *
 * Invariants: the position never goes back; each piece of text is looked at a fixed number of times.
 */
import { isUtf8 } from 'node:buffer';
import { S3Error } from './errors.ts';
import type { XmlElement } from './xml.ts';

/** Deeper than any request document of S3. */
const DEPTH_MAX = 16;
const ATTRIBUTES_MAX = 16;
const NAME = /[\p{L}_:][\p{L}\p{N}_:.-]*/uy;
const BLANKS = /[ \t\r\n]*/y;
const LESS_THAN = '<'.charCodeAt(0);
const COMMENT = '<!--';
const CDATA = '<![CDATA[';

/** How much a document may hold. */
export interface DocumentLimits {
  /** Elements, comments, CDATA sections and processing instructions together. */
  readonly nodesMax: number;
}

/** Enough for every document that is not a list of objects or parts. */
const SMALL: DocumentLimits = { nodesMax: 200 };

/**
 * @param rootName the name that the root element must have
 * @throws S3Error MalformedXML, also for more nodes than `limits` allow
 */
export function readDocument(
  bytes: Uint8Array,
  rootName: string,
  limits: DocumentLimits = SMALL,
): XmlElement {
  const root = new Reader(decodeUtf8(bytes), limits.nodesMax).read();
  if (root.name !== rootName) throw malformed();
  return root;
}

interface OpenElement {
  /** As it is written, with its prefix. */
  readonly tag: string;
  readonly text: string[];
  readonly children: XmlElement[];
}

class Reader {
  readonly #text: string;
  readonly #nodesMax: number;
  readonly #open: OpenElement[] = [];
  #position = 0;
  #nodes = 0;
  #root: XmlElement | undefined;

  constructor(text: string, nodesMax: number) {
    this.#text = text;
    this.#nodesMax = nodesMax;
  }

  read(): XmlElement {
    const end = this.#text.length;
    while (this.#position < end) {
      if (this.#text.charCodeAt(this.#position) === LESS_THAN) this.#readMarkup();
      else this.#readText();
    }
    if (this.#root === undefined || this.#open.length > 0) throw malformed();
    return this.#root;
  }

  #readText(): void {
    const found = this.#text.indexOf('<', this.#position);
    const end = found === -1 ? this.#text.length : found;
    const text = this.#text.slice(this.#position, end);
    this.#position = end;
    const current = this.#open.at(-1);
    if (current !== undefined) current.text.push(resolveReferences(withPlainLineEnds(text)));
    else if (!/^[ \t\r\n]*$/.test(text)) throw malformed();
  }

  #readMarkup(): void {
    if (this.#takes('</')) {
      this.#closeElement();
      return;
    }
    this.#nodes += 1;
    if (this.#nodes > this.#nodesMax) throw malformed();
    if (this.#takes(COMMENT)) {
      if (this.#until('-->').includes('--')) throw malformed();
    } else if (this.#takes(CDATA)) {
      const section = withPlainLineEnds(this.#until(']]>'));
      const current = this.#open.at(-1);
      if (current === undefined) throw malformed();
      current.text.push(section);
    } else if (this.#takes('<?')) {
      this.#skipInstruction();
    } else {
      this.#openElement();
    }
  }

  /** The declaration stands at the very beginning; other instructions mean nothing here. */
  #skipInstruction(): void {
    const isFirst = this.#position === '<?'.length;
    const target = this.#name();
    if (target.toLowerCase() === 'xml' && !isFirst) throw malformed();
    this.#until('?>');
  }

  /** What cannot be an element, such as a DOCTYPE, has no name and is refused. */
  #openElement(): void {
    this.#position += 1;
    const tag = this.#name();
    this.#skipAttributes();
    const isEmpty = this.#takes('/>');
    if (!isEmpty && !this.#takes('>')) throw malformed();
    if (this.#open.length === 0 && this.#root !== undefined) throw malformed();
    this.#open.push({ tag, text: [], children: [] });
    if (this.#open.length > DEPTH_MAX) throw malformed();
    if (isEmpty) this.#finishElement();
  }

  #closeElement(): void {
    const tag = this.#name();
    this.#skip(BLANKS);
    if (!this.#takes('>') || this.#open.at(-1)?.tag !== tag) throw malformed();
    this.#finishElement();
  }

  #finishElement(): void {
    const { tag, text, children } = this.#open.pop()!;
    const name = tag.slice(tag.lastIndexOf(':') + 1);
    const element = { name, text: text.join(''), children };
    const parent = this.#open.at(-1);
    if (parent === undefined) this.#root = element;
    else parent.children.push(element);
  }

  #skipAttributes(): void {
    const names = new Set<string>();
    for (;;) {
      const hadBlank = this.#skip(BLANKS) > 0;
      const next = this.#text[this.#position];
      if (next === '>' || next === '/') return;
      const name = this.#name();
      if (!hadBlank || names.has(name) || names.size === ATTRIBUTES_MAX) throw malformed();
      names.add(name);
      this.#skip(BLANKS);
      if (!this.#takes('=')) throw malformed();
      this.#skip(BLANKS);
      const quote = this.#takes('"') ? '"' : this.#takes("'") ? "'" : undefined;
      if (quote === undefined) throw malformed();
      const value = this.#until(quote);
      if (value.includes('<')) throw malformed();
      resolveReferences(value);
    }
  }

  #name(): string {
    NAME.lastIndex = this.#position;
    const name = NAME.exec(this.#text)?.[0];
    if (name === undefined) throw malformed();
    this.#position += name.length;
    return name;
  }

  /** How many characters were passed over. */
  #skip(pattern: RegExp): number {
    pattern.lastIndex = this.#position;
    const length = pattern.exec(this.#text)?.[0].length ?? 0;
    this.#position += length;
    return length;
  }

  /** Passes over `expected` where it is what comes next. */
  #takes(expected: string): boolean {
    if (!this.#text.startsWith(expected, this.#position)) return false;
    this.#position += expected.length;
    return true;
  }

  /** What comes before the next `end`; passes over both. */
  #until(end: string): string {
    const found = this.#text.indexOf(end, this.#position);
    if (found === -1) throw malformed();
    const text = this.#text.slice(this.#position, found);
    this.#position = found + end.length;
    return text;
  }
}

const predefined: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
};

const REFERENCE = /&(?:#(\d{1,7})|#x([0-9a-fA-F]{1,6})|([a-z]{2,4}));/y;

/**
 * One reference after the other: `replace` would find a million of them before it shows the first.
 *
 * @throws S3Error MalformedXML for any other entity, so that nothing is ever expanded
 */
function resolveReferences(text: string): string {
  let start = text.indexOf('&');
  if (start === -1) return text;
  const pieces = [text.slice(0, start)];
  while (start !== -1) {
    REFERENCE.lastIndex = start;
    const match = REFERENCE.exec(text);
    if (match === null) throw malformed();
    pieces.push(referencedCharacter(match));
    const end = start + match[0].length;
    start = text.indexOf('&', end);
    pieces.push(start === -1 ? text.slice(end) : text.slice(end, start));
  }
  return pieces.join('');
}

function referencedCharacter([, decimal, hex, name]: RegExpExecArray): string {
  if (name !== undefined && Object.hasOwn(predefined, name)) return predefined[name]!;
  const code = decimal !== undefined ? Number(decimal) : Number.parseInt(hex ?? '', 16);
  // Surrogates are not characters, and NUL is not a character of XML.
  if (!(code > 0 && code <= 0x10ffff) || (code >= 0xd800 && code <= 0xdfff)) throw malformed();
  return String.fromCodePoint(code);
}

/** Line ends as XML wants them read; a reference to a carriage return stays one. */
function withPlainLineEnds(text: string): string {
  return text.includes('\r') ? text.replace(/\r\n?/g, '\n') : text;
}

/** Not a fatal TextDecoder, which takes ten times as long. */
function decodeUtf8(bytes: Uint8Array): string {
  if (!isUtf8(bytes)) throw malformed();
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  return text.startsWith('\uFEFF') ? text.slice(1) : text;
}

function malformed(): S3Error {
  return new S3Error('MalformedXML');
}
