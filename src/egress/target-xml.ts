/**
 * Reads the few values that matter out of a target's XML, and writes the two documents that are sent.
 *
 * Answers come from services that users choose, so the reader does as little as possible: it finds
 * the text of a named element without attributes, which is how every S3 service writes these
 * documents, and decodes the five predefined entities and character references. There are no
 * entities of the sender's to expand and no tree to build, and each pattern runs in linear time. A
 * document that it cannot read yields nulls, which callers treat as values that were not sent.
 */

const ENTITIES: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
};

/** Outside of "Char" of XML 1.0; halves of characters are among it. */
const NOT_XML =
  // eslint-disable-next-line no-control-regex -- These are what is looked for.
  /[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

/** The name of the document's first element without its prefix, or null. */
export function rootName(xml: string): string | null {
  return /^[\uFEFF\s]*(?:<\?[^>]*>\s*)?<(?:[\w-]+:)?([\w-]+)/.exec(xml)?.[1] ?? null;
}

/** The trimmed text of the first element of that name, or null where there is none or it has children. */
export function elementText(xml: string, name: string): string | null {
  const open = `<${name}>`;
  const start = xml.indexOf(open);
  if (start < 0) return null;
  const textStart = start + open.length;
  const end = xml.indexOf('<', textStart);
  if (end < 0 || !xml.startsWith(`</${name}>`, end)) return null;
  return copyOf(decodeEntities(xml.slice(textStart, end)).trim());
}

/** What is between the tags of each element of that name; elements do not nest in themselves. */
export function elements(xml: string, name: string): string[] {
  const found: string[] = [];
  const [open, close] = [`<${name}>`, `</${name}>`];
  for (let start = xml.indexOf(open); start >= 0; start = xml.indexOf(open, start)) {
    const end = xml.indexOf(close, start);
    if (end < 0) break;
    found.push(xml.slice(start + open.length, end));
    start = end;
  }
  return found;
}

/** The body of CompleteMultipartUpload. */
export function completeMultipartXml(
  parts: readonly { readonly partNumber: number; readonly etag: string }[],
): string {
  const lines = parts.map(
    ({ partNumber, etag }) =>
      `<Part><PartNumber>${partNumber}</PartNumber><ETag>&quot;${escapeText(etag)}&quot;</ETag></Part>`,
  );
  return `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${lines.join('')}</CompleteMultipartUpload>`;
}

/** The body of PutObjectTagging; null where a name or value holds a character that XML cannot. */
export function taggingXml(tags: Readonly<Record<string, string>>): string | null {
  const lines = Object.entries(tags).map(
    ([key, value]) => `<Tag><Key>${escapeText(key)}</Key><Value>${escapeText(value)}</Value></Tag>`,
  );
  const xml = `<Tagging xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><TagSet>${lines.join('')}</TagSet></Tagging>`;
  return NOT_XML.test(xml) ? null : xml;
}

function escapeText(text: string): string {
  return (
    text
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
      .replaceAll('"', '&quot;')
      // As they are, a parser makes others of them (XML 1.0 sections 2.11 and 3.3.3).
      .replaceAll(/[\t\n\r]/g, (character) => `&#${character.charCodeAt(0)};`)
  );
}

/** A piece of a text keeps all of it in memory, here 64 KiB for an id that is kept as long as a lane. */
function copyOf(piece: string): string {
  return Buffer.from(piece).toString();
}

function decodeEntities(text: string): string {
  return text.replaceAll(
    /&(?:#(\d{1,7})|#x([0-9a-fA-F]{1,6})|(amp|lt|gt|quot|apos));/g,
    (whole, decimal?: string, hex?: string, name?: string) => {
      if (name !== undefined) return ENTITIES[name] ?? whole;
      const codePoint = decimal === undefined ? parseInt(hex ?? '', 16) : Number(decimal);
      return codePoint <= 0x10ffff ? String.fromCodePoint(codePoint) : whole;
    },
  );
}
