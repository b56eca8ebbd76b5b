import {
  CreateBucketCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
  type Tag,
} from '@aws-sdk/client-s3';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import { failsWith, startS3Server, type S3Server } from './s3-server.ts';

let server: S3Server;
let s3: ReturnType<S3Server['client']>;

before(async () => {
  server = await startS3Server();
  s3 = server.client();
  await s3.send(new CreateBucketCommand({ Bucket: 'tagged' }));
  await s3.send(new PutObjectCommand({ Bucket: 'tagged', Key: 'key', Body: 'x' }));
});
after(async () => {
  assert.deepEqual(server.failures, []);
  await server.stop();
});

/** Ten tags as long as tags may be, of 128 and 256 characters. */
function longTags(character: string): Tag[] {
  return Array.from({ length: 10 }, (_, index) => ({
    Key: `${index}${character.repeat(127 / character.length)}`,
    Value: character.repeat(256 / character.length),
  }));
}

async function putTags(TagSet: Tag[]): Promise<number | undefined> {
  const command = new PutObjectTaggingCommand({
    Bucket: 'tagged',
    Key: 'key',
    Tagging: { TagSet },
  });
  return (await s3.send(command)).$metadata.httpStatusCode;
}

const inBucket = { Bucket: 'tagged', Key: 'key' };

describe('ten tags as long as tags may be', () => {
  const scripts = {
    ASCII: 'a',
    Latin: 'é',
    Cyrillic: 'ж',
    Japanese: '語',
    'characters of XML': '&',
    'of two code units': '😀',
  };
  for (const [what, character] of Object.entries(scripts)) {
    it(`are put and given back by ?tagging: ${what}`, async () => {
      const tags = longTags(character);
      assert.equal(await putTags(tags), 200);
      const { TagSet } = await s3.send(new GetObjectTaggingCommand(inBucket));
      assert.deepEqual(TagSet, tags);
      const head = await s3.send(new HeadObjectCommand(inBucket));
      const { TagCount, Body } = await s3.send(new GetObjectCommand(inBucket));
      await Body?.transformToString();
      assert.equal(TagCount, 10);
      assert.equal(head.TagCount, 10);
    });
  }

  it('go with an empty set, and the count with them', async () => {
    await putTags(longTags('a'));
    assert.equal(await putTags([]), 200);
    assert.deepEqual((await s3.send(new GetObjectTaggingCommand(inBucket))).TagSet, []);
    const { TagCount, Body } = await s3.send(new GetObjectCommand(inBucket));
    await Body?.transformToString();
    assert.equal(TagCount, undefined);
    assert.equal((await s3.send(new HeadObjectCommand(inBucket))).TagCount, undefined);
  });

  it('are refused in a header that is too long for it, with an error that clients read', async () => {
    const fields = longTags('語').map(({ Key, Value }): [string, string] => [Key!, Value!]);
    const Tagging = new URLSearchParams(fields).toString();
    assert.ok(Tagging.length > 23 * 1024, 'the header has the length that was reported');
    const call = s3.send(new PutObjectCommand({ ...inBucket, Body: 'x'.repeat(100_000), Tagging }));
    await failsWith(call, 'RequestHeaderSectionTooLarge', 400);
  });

  it('are taken in a header of 12 KiB', async () => {
    const fields = longTags('é').map(({ Key, Value }): [string, string] => [
      Key!.slice(0, 60),
      Value!.slice(0, 130),
    ]);
    const Tagging = new URLSearchParams(fields).toString();
    assert.ok(Tagging.length > 11 * 1024 && Tagging.length < 14 * 1024, String(Tagging.length));
    await s3.send(new PutObjectCommand({ ...inBucket, Body: 'x', Tagging }));
    assert.equal((await s3.send(new HeadObjectCommand(inBucket))).TagCount, 10);
  });
});

describe('the refusal of a head that is too large', () => {
  it('reaches a client that sends all of it before it reads', async () => {
    const socket = connect({ port: server.port, host: '127.0.0.1', allowHalfOpen: true });
    socket.pause();
    let failure: Error | undefined;
    socket.on('error', (error) => (failure = error));
    socket.write('PUT /tagged/key HTTP/1.1\r\nHost: x\r\nx-amz-tagging: ');
    // More than the buffers between both sides hold: it is sent only if the server goes on reading.
    const piece = Buffer.alloc(64 * 1024, 'a');
    for (let sent = 0; sent < 12 * 1024 * 1024 && failure === undefined; sent += piece.length) {
      if (!socket.write(piece)) await Promise.race([once(socket, 'drain'), once(socket, 'close')]);
    }
    assert.equal(failure, undefined);
    const answer = await text(socket);
    assert.match(answer, /^HTTP\/1\.1 400 /);
    assert.match(answer, /<Code>RequestHeaderSectionTooLarge<\/Code>/);
    socket.destroy();
  });

  it('ends the connection of a client that never ends its head', async () => {
    const socket = connect({ port: server.port, host: '127.0.0.1', allowHalfOpen: true });
    socket.on('error', () => undefined);
    const piece = Buffer.alloc(64 * 1024, 'a');
    socket.write('GET / HTTP/1.1\r\nx: ');
    const write = (): void => {
      if (socket.writable) socket.write(piece, write);
    };
    write();
    socket.resume();
    await new Promise((resolve) => socket.once('close', resolve));
  });
});
