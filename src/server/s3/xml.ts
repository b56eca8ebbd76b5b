/**
 * XML as S3 writes and reads it.
 *
 * Answers are put together from strings: S3's documents are flat, and a builder would hide how
 * control characters leave. XML 1.0 cannot carry most of them, not even as references; S3 writes the
 * references all the same, and so does this server. Clients ask for `encoding-type=url` in listings.
 *
 * Requests are read with fast-xml-parser, its entities switched off: DOCTYPE is refused, and only the
 * five predefined entities and numeric references are known.
 */
import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { S3Error } from './errors.ts';

const NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/';
const DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n';
const TEXT = '#text';
const CDATA = '#cdata';
/** Deeper than any request document of S3. */
const DEPTH_MAX = 16;

const parser = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: true,
  ignoreDeclaration: true,
  ignorePiTags: true,
  removeNSPrefix: true,
  parseTagValue: false,
  trimValues: false,
  processEntities: false,
  textNodeName: TEXT,
  cdataPropName: CDATA,
  maxNestedTags: DEPTH_MAX,
});

/** One element of a request document. */
export interface XmlElement {
  readonly name: string;
  /** Character data of the element itself, references resolved. */
  readonly text: string;
  readonly children: readonly XmlElement[];
}

/** A document whose root is in S3's namespace; `content` is finished XML. */
export function document(root: string, ...content: readonly string[]): string {
  return `${DECLARATION}<${root} xmlns="${NAMESPACE}">${content.join('')}</${root}>`;
}

/** As {@link document}, without a namespace: error documents have none. */
export function plainDocument(root: string, ...content: readonly string[]): string {
  return DECLARATION + element(root, ...content);
}

/** An element with finished XML inside. */
export function element(name: string, ...content: readonly string[]): string {
  return `<${name}>${content.join('')}</${name}>`;
}

/** An element with a value; nothing at all where the value is undefined. */
export function field(name: string, value: string | number | boolean | undefined): string {
  return value === undefined ? '' : `<${name}>${escapeText(String(value))}</${name}>`;
}

const named: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
};

export function escapeText(text: string): string {
  // eslint-disable-next-line no-control-regex -- control characters are what has to be found
  return text.replace(/[&<>"\x00-\x1f\x7f-\x9f\u2028\ufffe\uffff]/g, (character) => {
    return named[character] ?? `&#x${character.charCodeAt(0).toString(16).toUpperCase()};`;
  });
}

/**
 * Reads a request document.
 *
 * @param rootName the name that the root element must have
 * @throws S3Error MalformedXML
 */
export function readDocument(bytes: Uint8Array, rootName: string): XmlElement {
  const text = decodeUtf8(bytes);
  // Anything like <!DOCTYPE or <!ENTITY: only comments and CDATA sections may start so.
  if (/<!(?!--|\[CDATA\[)/.test(text)) throw new S3Error('MalformedXML');
  if (XMLValidator.validate(text) !== true) throw new S3Error('MalformedXML');
  const roots = toElements(parse(text));
  const [root] = roots;
  if (root === undefined || roots.length > 1 || root.name !== rootName) {
    throw new S3Error('MalformedXML');
  }
  return root;
}

export function childrenNamed(parent: XmlElement, name: string): XmlElement[] {
  return parent.children.filter((child) => child.name === name);
}

/** The text of the only child of that name; undefined where there is none. @throws S3Error MalformedXML for several */
export function childText(parent: XmlElement, name: string): string | undefined {
  const found = childrenNamed(parent, name);
  if (found.length > 1) throw new S3Error('MalformedXML');
  return found[0]?.text;
}

/** As {@link childText}, where the child has to be there. */
export function requiredText(parent: XmlElement, name: string): string {
  const text = childText(parent, name);
  if (text === undefined) {
    throw new S3Error('MalformedXML', { message: `${parent.name} needs the element ${name}.` });
  }
  return text;
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new S3Error('MalformedXML');
  }
}

/** With `preserveOrder`, the parser gives a list of objects with one property each, its name. */
type OrderedNode = Readonly<Record<string, unknown>>;

function parse(text: string): readonly OrderedNode[] {
  try {
    return parser.parse(text) as readonly OrderedNode[];
  } catch {
    throw new S3Error('MalformedXML');
  }
}

function toElements(nodes: readonly OrderedNode[]): XmlElement[] {
  return nodes.flatMap((node) => {
    const [name] = Object.keys(node);
    if (name === undefined || name === TEXT || name === CDATA) return [];
    const content = node[name] as readonly OrderedNode[];
    return [{ name, text: content.map(textOf).join(''), children: toElements(content) }];
  });
}

function textOf(node: OrderedNode): string {
  const text = node[TEXT];
  if (typeof text === 'string') return resolveReferences(text);
  const cdata = node[CDATA];
  return Array.isArray(cdata)
    ? (cdata as OrderedNode[]).map((part) => String(part[TEXT])).join('')
    : '';
}

const predefined: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
};

/** @throws S3Error MalformedXML for any other entity, so that nothing is ever expanded */
function resolveReferences(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-fA-F]{1,6})|([a-z]{2,4}));|&/g, (...match) => {
    const [, decimal, hex, name] = match as (string | undefined)[];
    if (name !== undefined && Object.hasOwn(predefined, name)) return predefined[name]!;
    const code = decimal !== undefined ? Number(decimal) : Number.parseInt(hex ?? '', 16);
    // Surrogates are not characters, and NUL is not a character of XML.
    if (!(code > 0 && code <= 0x10ffff) || (code >= 0xd800 && code <= 0xdfff)) {
      throw new S3Error('MalformedXML');
    }
    return String.fromCodePoint(code);
  });
}
