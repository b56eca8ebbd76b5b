/**
 * A remote service that refuses everything and repeats in its message all that it was sent, so that
 * whatever the engine sends would come back into errors, rows and logs.
 */
import { errorAnswer } from '../support/fake-target/answer.ts';
import { startFakeTarget } from '../support/fake-target/fake-target.ts';
import { realClock } from '../support/faster-clock.ts';

export interface EchoingTarget {
  readonly url: string;
  /** Heads and bodies as they came. */
  readonly received: readonly string[];
}

interface Cleanup {
  after(cleanup: () => void | Promise<void>): void;
}

export async function startEchoingTarget(t: Cleanup): Promise<EchoingTarget> {
  const received: string[] = [];
  const { url } = await startFakeTarget(t, {
    clock: realClock(),
    hooks: {
      whenWhole({ method, target, headers, body }) {
        const head = `${method} ${target} ${[...headers].flat().join(' ')}`;
        received.push(`${head}\n${body.toString('latin1')}`);
        const refusal = errorAnswer(403, 'AccessDenied', escapeXml(head));
        return { ...refusal, headers: { ...refusal.headers, 'x-amz-request-id': 'ECHO' } };
      },
    },
  });
  return { url, received };
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
