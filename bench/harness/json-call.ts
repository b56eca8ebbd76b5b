/** One call of a JSON API, for what a bench sets up and looks up beside what it measures. */

export interface JsonCall {
  readonly method: string;
  /** With the scheme and the host. */
  readonly url: string;
  /** The value of `Authorization`. */
  readonly authorization?: string;
  readonly body?: object;
}

/** The parsed answer; null where it is empty. @throws Error for every status but 2xx */
export async function callJson<T>({ method, url, authorization, body }: JsonCall): Promise<T> {
  const response = await fetch(url, {
    method,
    headers: {
      'content-type': 'application/json',
      ...(authorization === undefined ? {} : { authorization }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${url} answered ${response.status}: ${text}`);
  return (text === '' ? null : JSON.parse(text)) as T;
}
