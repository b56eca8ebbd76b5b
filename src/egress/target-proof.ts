/**
 * Which answers with 2xx prove that the target did what was asked. A status alone never does: captive
 * portals, load balancers and web servers answer 200 with a page to whatever they are asked.
 *
 * | request | proof |
 * | --- | --- |
 * | object, part | 200, no body or an XML answer, and an ETag |
 * | deletion, abort | 204, or 200 with no body |
 * | tags | 204, or 200 with no body or an XML answer |
 * | creation of an upload | an UploadId |
 * | completion of an upload | 200 and a CompleteMultipartUploadResult |
 * | HEAD | 200 |
 *
 * An XML answer is a document whose first element is not that of a page. One whose first element is
 * `Error` is that error, whatever the status, and does not get here (target-request.ts).
 */
import type { Answer } from './exchange.ts';
import { rootName } from './target-xml.ts';

export type Proof = (answer: Answer) => boolean;

/** A body that an S3 service gives to what it did: none, or an XML answer. */
function isAnswerOfS3({ body }: Answer): boolean {
  const text = body.toString('utf8').trim();
  if (text === '') return true;
  const root = rootName(text);
  return root !== null && root.toLowerCase() !== 'html';
}

export const isStored: Proof = (answer) => answer.status === 200 && isAnswerOfS3(answer);

export const isDeleted: Proof = ({ status, body }) =>
  status === 204 || (status === 200 && body.length === 0);

export const isTagged: Proof = (answer) => answer.status === 204 || isStored(answer);

export const isCompleted: Proof = ({ status, body }) =>
  status === 200 && rootName(body.toString('utf8')) === 'CompleteMultipartUploadResult';
