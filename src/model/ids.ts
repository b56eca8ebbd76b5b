/** Ids of targets and rules: UUIDs, compared without regard to case, meaningful only inside their bucket. */
import type { ErrorDetail } from '../json-api/errors.ts';

/** Asks the server to assign an id (the nil UUID of RFC 9562 section 5.9). */
export const NEW_ID = '00000000-0000-0000-0000-000000000000';

/** @param list the name of the body's property, for the paths */
export function findRepeatedIds(
  list: 'targets' | 'rules',
  inputs: readonly { readonly id: string }[],
): ErrorDetail[] {
  const seen = new Set<string>();
  return inputs.flatMap(({ id }, index) => {
    const known = id.toLowerCase();
    if (known === NEW_ID) return [];
    if (!seen.has(known)) {
      seen.add(known);
      return [];
    }
    return [{ path: `/${list}/${index}/id`, message: 'must differ from the ids before it' }];
  });
}
