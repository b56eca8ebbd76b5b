/**
 * Object tags as S3 writes them: a query string in `x-amz-tagging`, a `Tagging` document otherwise.
 *
 * Limits from "Categorizing your storage using tags", Amazon S3 user guide.
 */
import type { Tags } from '../objects/types.ts';
import { S3Error } from './errors.ts';
import { decodePercent } from './percent-encoding.ts';
import { childrenNamed, document, element, field, requiredText, type XmlElement } from './xml.ts';

const TAGS_MAX = 10;
const KEY_LENGTH_MAX = 128;
const VALUE_LENGTH_MAX = 256;

/** @throws S3Error InvalidTag, InvalidArgument for broken encoding */
export function parseTagHeader(text: string): Tags {
  const pairs = text.split('&').filter((pair) => pair !== '');
  return checkTags(
    pairs.map((pair) => {
      const [name = '', ...rest] = pair.split('=');
      return [decodePart(name), decodePart(rest.join('='))] as const;
    }),
  );
}

/** Reads a `Tagging` document. @throws S3Error MalformedXML, InvalidTag */
export function readTagging(root: XmlElement): Tags {
  const sets = childrenNamed(root, 'TagSet');
  const [set] = sets;
  if (set === undefined || sets.length > 1) throw new S3Error('MalformedXML');
  const tags = childrenNamed(set, 'Tag');
  return checkTags(tags.map((tag) => [requiredText(tag, 'Key'), requiredText(tag, 'Value')]));
}

export function taggingDocument(tags: Tags): string {
  const entries = Object.entries(tags);
  const set = entries.map(([key, value]) =>
    element('Tag', field('Key', key), field('Value', value)),
  );
  return document('Tagging', element('TagSet', ...set));
}

function checkTags(pairs: readonly (readonly [string, string])[]): Tags {
  if (pairs.length > TAGS_MAX) {
    throw new S3Error('InvalidTag', { message: `An object has at most ${TAGS_MAX} tags.` });
  }
  const tags = new Map<string, string>();
  for (const [key, value] of pairs) {
    if (key === '' || key.length > KEY_LENGTH_MAX || value.length > VALUE_LENGTH_MAX) {
      throw new S3Error('InvalidTag', {
        message: 'A tag has a key of 1 to 128 characters and a value of at most 256.',
      });
    }
    if (tags.has(key)) throw new S3Error('InvalidTag', { message: 'A tag key appears twice.' });
    tags.set(key, value);
  }
  return Object.fromEntries(tags);
}

function decodePart(text: string): string {
  try {
    return decodePercent(text.replaceAll('+', '%20'));
  } catch (error) {
    throw new S3Error('InvalidArgument', {
      message: 'x-amz-tagging must be key=value pairs, percent-encoded, joined by "&".',
      cause: error,
    });
  }
}
