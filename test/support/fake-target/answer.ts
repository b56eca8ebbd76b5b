/** Answers of the fake target: as values, and as the bytes that go on the wire. */

export interface TargetAnswer {
  readonly status: number;
  readonly reason?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

export function errorAnswer(status: number, code: string, message = 'Their words.'): TargetAnswer {
  const inner = `<Code>${code}</Code><Message>${message}</Message><RequestId>REQ1</RequestId>`;
  return xmlAnswer(`<Error>${inner}</Error>`, status);
}

export function xmlAnswer(xml: string, status = 200): TargetAnswer {
  return {
    status,
    headers: { 'content-type': 'application/xml' },
    body: `<?xml version="1.0" encoding="UTF-8"?>\n${xml}`,
  };
}

/** What a proxy, a captive portal or an error page says. */
export function htmlAnswer(status: number, title: string): TargetAnswer {
  return {
    status,
    headers: { 'content-type': 'text/html' },
    body: `<!DOCTYPE html><html><head><title>${title}</title></head><body>${title}</body></html>`,
  };
}

/** @param method of the request: an answer to HEAD has no body, and keeps the length that it is given */
export function answerBytes(
  { status, reason = 'Whatever', headers = {}, body = '' }: TargetAnswer,
  method: string,
  protocol = 'HTTP/1.1',
): Buffer {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(body);
  const names = new Set(Object.keys(headers).map((name) => name.toLowerCase()));
  const lines = [
    `${protocol} ${status} ${reason}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];
  if (!names.has('content-length') && !names.has('transfer-encoding') && status !== 204) {
    lines.push(`content-length: ${bytes.length}`);
  }
  const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  return method === 'HEAD' ? head : Buffer.concat([head, bytes]);
}
