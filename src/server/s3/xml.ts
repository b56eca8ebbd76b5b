/**
 * XML as S3 writes it, and access to what xml-reader.ts read.
 *
 * Answers are put together from strings: S3's documents are flat, and a builder would hide how
 * control characters leave. XML 1.0 cannot carry most of them, not even as references; S3 writes the
 * references all the same, and so does this server. Clients ask for `encoding-type=url` in listings.
 */
import { S3Error } from './errors.ts';

const NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/';
const DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n';
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
