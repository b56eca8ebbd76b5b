/** How targets treat connections, bytes and parts: tables by theme, beside each other on one server. */
import { connections } from './connections.ts';
import { interimAnswers } from './interim-answers.ts';
import { keysAndMetadata } from './keys-and-metadata.ts';
import { multipart } from './multipart.ts';
import { silence } from './silence.ts';
import { runThemes } from './wild-case.ts';

runThemes({
  Connections: connections,
  'Interim answers': interimAnswers,
  'Silence and slowness': silence,
  'Odd keys and metadata': keysAndMetadata,
  'Multipart uploads': multipart,
});
