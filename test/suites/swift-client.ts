/**
 * The target client against an S3 service of other makers, which is asked for by the environment:
 *
 *     ENDPOINT, ACCESS_KEY, SECRET_KEY, REGION; DENIED_ACCESS_KEY, a key that may do nothing
 *
 * scripts/suites/swift.sh starts one. Not part of the unit tests, as it needs that service. The last
 * line is `N passed, M failed`; the exit status is 1 where something failed or nothing ran.
 */
import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { createAddressPolicy } from '../../src/egress/address.ts';
import { createRealClock } from '../support/real-clock.ts';
import { createSigner, EMPTY_SHA256, formatAmzDate, type Header } from '../../src/egress/sigv4.ts';
import { createTargetClient, type TargetClient } from '../../src/egress/target-client.ts';
import type { RequestFailure, RequestResult } from '../../src/model/delivery.ts';
import { parseEndpoint, type Endpoint } from '../../src/model/endpoint.ts';
import { judge } from '../../src/model/outcome.ts';
import {
  compareObjects,
  partRange,
  planTransfer,
  predictMultipartEtag,
} from '../../src/model/transfer-plan.ts';
import { requireGivenService } from '../support/swift-service.ts';

interface Service {
  readonly endpoint: Endpoint;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly region: string;
}

interface Changes extends Partial<Omit<Service, 'endpoint'>> {
  readonly targetBucket?: string;
  readonly clockOffsetMs?: number;
}

const given = requireGivenService();
const service = serviceOfEnvironment();
const bucket = `suite-${randomUUID()}`;
const PLAIN = { systemHeaders: {}, userMetadata: {}, tags: {} } as const;
const BODY = Buffer.from('Hello from the other side.');
const md5 = (bytes: Buffer): string => createHash('md5').update(bytes).digest('hex');

const cases: readonly (readonly [name: string, run: (client: TargetClient) => Promise<void>])[] = [
  ['an object arrives with its headers and metadata', objectArrives],
  ['every kind of key arrives', keysArrive],
  ['bodies of every size arrive', sizesArrive],
  ['metadata with blanks and bytes is signed as the service reads it', oddMetadataArrives],
  ['tags are refused, and the object arrives without them', tagsDegrade],
  ['a delete is done, also where nothing is', deletes],
  ['many HEADs of what is missing do not spoil a connection', headsOfNothing],
  ['a multipart upload arrives with the predicted ETag', multipartArrives],
  ['an upload that is gone is named so', uploadGone],
  ['many requests at a time arrive', manyAtATime],
  ['a wrong region is named', wrongRegion],
  ['a wrong secret is named', wrongSecret],
  ['an unknown key is told', unknownKey],
  ['a key that may do nothing is told', deniedKey],
  ['a clock that is wrong is named', wrongClock],
  ['a missing bucket is named', missingBucket],
  ['a missing bucket is no success of a delete', missingBucketOfDelete],
];

process.exitCode = await runAll();

async function runAll(): Promise<number> {
  await createBucket();
  const counts = { passed: 0, failed: 0 };
  for (const [name, run] of cases) {
    const client = open();
    try {
      await run(client);
      counts.passed += 1;
      console.log(`ok      ${name}`);
    } catch (error) {
      counts.failed += 1;
      console.log(`FAILED  ${name}\n${error instanceof Error ? error.stack : String(error)}`);
    } finally {
      await client.destroy();
    }
  }
  console.log(`${counts.passed} passed, ${counts.failed} failed`);
  return counts.failed === 0 && counts.passed > 0 ? 0 : 1;
}

async function objectArrives(client: TargetClient): Promise<void> {
  const object = {
    size: BODY.length,
    systemHeaders: {
      'content-type': 'text/plain; charset=utf-8',
      'cache-control': 'max-age=60',
      'content-disposition': 'attachment; filename="a.txt"',
      'content-encoding': 'identity',
      'content-language': 'de',
      expires: 'Thu, 01 Dec 2044 16:00:00 GMT',
    },
    userMetadata: { color: 'blue', 'two-words': 'a b' },
    tags: {},
  };
  const stored = valueOf(await client.putObject('folder/object', object, BODY));
  assert.deepEqual(stored, { etag: md5(BODY), tags: 'done' });
  const head = valueOf(await client.headObject('folder/object'));
  assert.notEqual(compareObjects(head, object, md5(BODY)), 'different', JSON.stringify(head));
  // Sent again with one value less, it is another one.
  valueOf(await client.putObject('folder/object', { ...object, userMetadata: {} }, BODY));
  const changed = valueOf(await client.headObject('folder/object'));
  assert.equal(compareObjects(changed, object, md5(BODY)), 'different');
}

async function keysArrive(client: TargetClient): Promise<void> {
  const keys = [
    ...['a b', 'a+b', '100%', '%2F', 'ü', '😀', "!'()*", '?x=1#y', '\\', 'a//b', 'a/', '~'],
    ...['a/../b', '..', '../x', './a', 'a:b@c&d=e', '<&>"', 'tab\there', 'x'.repeat(1000)],
  ];
  for (const [index, key] of keys.entries()) {
    const body = Buffer.from(`body ${index}`);
    valueOf(await client.putObject(key, PLAIN, body));
  }
  for (const [index, key] of keys.entries()) {
    const head = valueOf(await client.headObject(key));
    assert.ok(head.exists && head.etag === md5(Buffer.from(`body ${index}`)), JSON.stringify(key));
  }
}

async function sizesArrive(client: TargetClient): Promise<void> {
  for (const size of [0, 1, 65_536, 65_537, 8 * 1024 * 1024]) {
    const body = Buffer.alloc(size, `size ${size}`);
    assert.equal(valueOf(await client.putObject('size', PLAIN, body)).etag, md5(body));
    const head = valueOf(await client.headObject('size'));
    assert.notEqual(
      compareObjects(head, { ...PLAIN, size }, md5(body)),
      'different',
      JSON.stringify(head),
    );
  }
}

async function oddMetadataArrives(client: TargetClient): Promise<void> {
  const values = ['two  blanks', 'a, b', '"quoted"', '=?UTF-8?Q?Gr=C3=BC=C3=9Fe?='];
  for (const value of values) {
    valueOf(await client.putObject('odd', { ...PLAIN, userMetadata: { odd: value } }, BODY));
  }
}

async function tagsDegrade(client: TargetClient): Promise<void> {
  const object = { ...PLAIN, tags: { team: 'a b', ü: '' } };
  const stored = valueOf(await client.putObject('tagged', object, BODY));
  assert.equal(stored.tags, 'refused');
  const head = valueOf(await client.headObject('tagged'));
  assert.ok(head.exists && head.etag === md5(BODY));
}

async function deletes(client: TargetClient): Promise<void> {
  valueOf(await client.putObject('gone', PLAIN, BODY));
  const startedAtMs = performance.now();
  for (let round = 0; round < 3; round += 1) valueOf(await client.deleteObject('gone'));
  // A service that waits for a body that is not announced waits for 20 s.
  assert.ok(performance.now() - startedAtMs < 10_000);
  assert.deepEqual(valueOf(await client.headObject('gone')), { exists: false });
}

async function headsOfNothing(client: TargetClient): Promise<void> {
  for (let round = 0; round < 20; round += 1) {
    assert.deepEqual(valueOf(await client.headObject(`nothing-${round}`)), { exists: false });
    valueOf(await client.putObject('something', PLAIN, BODY));
  }
}

async function multipartArrives(client: TargetClient): Promise<void> {
  const body = Buffer.alloc(20 * 1024 * 1024 + 17, 'multipart');
  const object = { ...PLAIN, size: body.length, userMetadata: { a: 'b' } };
  const plan = planTransfer(body.length);
  assert.ok(plan.kind === 'multipart' && plan.partCount === 3);
  const key = 'large object';
  const { uploadId } = valueOf(await client.createMultipartUpload(key, object));
  const upload = { key, uploadId };
  const parts: { partNumber: number; etag: string; md5: Buffer }[] = [];
  for (let partNumber = 1; partNumber <= plan.partCount; partNumber += 1) {
    const { start, end, size } = partRange(body.length, plan.partBytes, partNumber);
    const bytes = body.subarray(start, end + 1);
    // Every second part from a source, as large parts are.
    const source = { size, open: async () => Readable.from([bytes]) };
    const part = await client.uploadPart(upload, partNumber, partNumber % 2 === 0 ? source : bytes);
    parts.push({ partNumber, ...valueOf(part) });
  }
  const listed = valueOf(await client.listParts(upload, 1));
  assert.deepEqual(
    listed.parts.map(({ partNumber, etag }) => ({ partNumber, etag })),
    parts.slice(1).map(({ partNumber, etag }) => ({ partNumber, etag })),
  );
  assert.equal(listed.next, null);
  const predicted = predictMultipartEtag(parts.map((part) => part.md5));
  const { etag } = valueOf(await client.completeMultipartUpload(upload, parts, predicted));
  assert.ok(etag === null || etag === predicted);
  const head = valueOf(await client.headObject(key));
  assert.notEqual(compareObjects(head, object, predicted), 'different', JSON.stringify(head));
}

async function uploadGone(client: TargetClient): Promise<void> {
  const { uploadId } = valueOf(await client.createMultipartUpload('aborted', PLAIN));
  const upload = { key: 'aborted', uploadId };
  valueOf(await client.abortMultipartUpload(upload));
  valueOf(await client.abortMultipartUpload(upload));
  const failure = failureOf(await client.uploadPart(upload, 1, BODY));
  assert.equal(failure.code, 'NoSuchUpload');
  assert.equal(failureOf(await client.listParts(upload)).code, 'NoSuchUpload');
}

async function manyAtATime(client: TargetClient): Promise<void> {
  const results = await Promise.all(
    Array.from({ length: 100 }, (_, index) => client.putObject(`many/${index}`, PLAIN, BODY)),
  );
  for (const result of results) assert.equal(valueOf(result).etag, md5(BODY));
}

async function wrongRegion(): Promise<void> {
  const failure = await putFailure({ region: 'mars-1' });
  assert.equal(failure.code, 'AuthorizationHeaderMalformed');
  assert.equal(judge(failure).reason, `The target expects the region ${service.region}.`);
  assert.equal(failure.ambiguous, false);
}

async function wrongSecret(): Promise<void> {
  const failure = await putFailure({ secretAccessKey: 'wrong' });
  assert.equal(failure.code, 'SignatureDoesNotMatch');
  assert.match(judge(failure).reason, /secret access key/);
}

async function unknownKey(): Promise<void> {
  const { kind, origin } = judge(await putFailure({ accessKeyId: 'nobody:nowhere' }));
  assert.deepEqual([kind, origin], ['retry', 'target']);
}

async function deniedKey(): Promise<void> {
  const failure = await putFailure({ accessKeyId: given.deniedAccessKeyId });
  assert.equal(failure.code, 'AccessDenied');
  assert.match(judge(failure).reason, /denies access/);
}

async function wrongClock(): Promise<void> {
  const failure = await putFailure({ clockOffsetMs: -3_600_000 });
  assert.equal(failure.code, 'RequestTimeTooSkewed');
  assert.match(judge(failure).reason, /clocks/);
}

async function missingBucket(): Promise<void> {
  const failure = await putFailure({ targetBucket: `missing-${randomUUID()}` });
  assert.equal(failure.code, 'NoSuchBucket');
  assert.match(judge(failure).reason, /bucket does not exist/);
}

async function missingBucketOfDelete(): Promise<void> {
  const client = open({ targetBucket: `missing-${randomUUID()}` });
  const result = await client.deleteObject('key');
  await client.destroy();
  assert.equal(failureOf(result).code, 'NoSuchBucket');
}

async function putFailure(changes: Changes): Promise<RequestFailure> {
  const client = open(changes);
  const result = await client.putObject('key', PLAIN, BODY);
  await client.destroy();
  return failureOf(result);
}

function open({ clockOffsetMs = 0, ...changes }: Changes = {}): TargetClient {
  return createTargetClient({
    connection: { targetBucket: bucket, exemptKinds: ['loopback'], ...service, ...changes },
    addresses: createAddressPolicy({ allow: [], deny: [], ownAddresses: () => [] }),
    resolver: { resolve: async () => 'unresolved' },
    clock: { ...createRealClock(), wallClockMs: () => Date.now() + clockOffsetMs },
    connections: 8,
  });
}

/** Not an operation of the client: the engine never makes buckets. */
async function createBucket(): Promise<void> {
  const { endpoint } = service;
  const amzDate = formatAmzDate(Date.now());
  const headers: Header[] = [
    ['host', new URL(endpoint.origin).host],
    ['x-amz-content-sha256', EMPTY_SHA256],
    ['x-amz-date', amzDate],
  ];
  const path = `${endpoint.pathPrefix}/${bucket}`;
  const request = { method: 'PUT', path, query: '', headers, payloadHash: EMPTY_SHA256, amzDate };
  const authorization = createSigner(service).sign(request);
  const response = await fetch(endpoint.origin + path, {
    method: 'PUT',
    headers: [...headers.filter(([name]) => name !== 'host'), ['authorization', authorization]].map(
      ([name = '', value = '']): [string, string] => [name, value],
    ),
  });
  assert.equal(response.status, 200, await response.text());
}

function serviceOfEnvironment(): Service {
  const { url, ...credentials } = given.account;
  const endpoint = parseEndpoint(url);
  assert.ok(endpoint !== null, 'ENDPOINT is no endpoint.');
  return { endpoint, ...credentials };
}

function valueOf<T>(result: RequestResult<T>): T {
  assert.ok(result.ok, JSON.stringify(result));
  return result.value;
}

function failureOf(result: RequestResult<unknown>): RequestFailure {
  assert.ok(!result.ok, JSON.stringify(result));
  return result.failure;
}
