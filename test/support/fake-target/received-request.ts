/** A request as the fake target received it, and the S3 operation that it is. */

export type Operation =
  | 'put'
  | 'get'
  | 'head'
  | 'delete'
  | 'put-tags'
  | 'get-tags'
  | 'delete-tags'
  | 'create'
  | 'part'
  | 'complete'
  | 'abort'
  | 'list-parts'
  | 'list-uploads'
  | 'list'
  | 'unknown';

export interface ReceivedHead {
  readonly operation: Operation;
  readonly method: string;
  /** Path and query as they came on the wire. */
  readonly target: string;
  /** Decoded; empty for requests of the bucket itself. */
  readonly key: string;
  readonly query: URLSearchParams;
  /** By lower-case name, one character per byte; blanks around the value are gone. */
  readonly headers: ReadonlyMap<string, string>;
  /** By the target's monotonic clock, when the head had come. */
  readonly atMs: number;
  /** How many requests of this operation and key there were, this one included. */
  readonly nth: number;
}

export interface ReceivedRequest extends ReceivedHead {
  readonly body: Buffer;
}

/** What is remembered of a request: all but its bytes. */
export interface LoggedRequest extends ReceivedHead {
  /** What came of the body before the answer; less than was announced where the target did not read it. */
  bodyBytes: number;
}

/** @param head the request line and the header lines, without the blank line */
export function parseHead(head: string, atMs: number): Omit<ReceivedHead, 'nth'> {
  const [requestLine = '', ...lines] = head.split('\r\n');
  const [method = '', target = ''] = requestLine.split(' ');
  const [path = '', search = ''] = target.split('?', 2);
  const key = decodeURIComponent(path.split('/').slice(2).join('/'));
  const query = new URLSearchParams(search);
  const headers = new Map(
    lines.map((line): [string, string] => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  return { operation: operationOf(method, key, query), method, target, key, query, headers, atMs };
}

function operationOf(method: string, key: string, query: URLSearchParams): Operation {
  if (key === '') return query.has('uploads') ? 'list-uploads' : 'list';
  if (query.has('tagging')) {
    const tagging = { PUT: 'put-tags', GET: 'get-tags', DELETE: 'delete-tags' } as const;
    return tagging[method as keyof typeof tagging] ?? 'unknown';
  }
  if (query.has('uploads')) return 'create';
  if (query.has('uploadId')) {
    const upload = { PUT: 'part', POST: 'complete', DELETE: 'abort', GET: 'list-parts' } as const;
    return upload[method as keyof typeof upload] ?? 'unknown';
  }
  const plain = { PUT: 'put', GET: 'get', HEAD: 'head', DELETE: 'delete' } as const;
  return plain[method as keyof typeof plain] ?? 'unknown';
}
