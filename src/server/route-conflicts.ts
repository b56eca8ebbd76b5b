/**
 * Whether a plugin claims paths that the server answers itself.
 *
 * A claim on a path is a claim on everything below it; a segment like `:name` is any text. A claim
 * with a query (`/:bucketName?replication`) is a subresource that the server mounts itself, and takes
 * nothing away.
 */

export interface RouteConflict {
  readonly claimed: string;
  readonly reserved: string;
}

/** The first conflict, or null. */
export function findRouteConflict(
  claims: readonly string[],
  reserved: readonly string[],
): RouteConflict | null {
  for (const claimed of claims) {
    if (claimed.includes('?')) continue;
    const hit = reserved.find((route) => covers(segments(claimed), segments(route)));
    if (hit !== undefined) return { claimed, reserved: hit };
  }
  return null;
}

/** Whether `route` is `claim` or lies below it. */
function covers(claim: readonly string[], route: readonly string[]): boolean {
  return (
    claim.length <= route.length &&
    claim.every((segment, index) => {
      const other = route[index]!;
      return segment === other || segment.startsWith(':') || other.startsWith(':');
    })
  );
}

function segments(path: string): string[] {
  return path.split('/').filter((segment) => segment !== '');
}
