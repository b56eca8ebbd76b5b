/** How long the client waits for what, and that it does so by the clock that it is given. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { CONNECT_TIMEOUT_MS, TCP_KEEP_ALIVE_MS } from '../../src/egress/connector.ts';
import {
  IDLE_MS,
  IDLE_TICK_MS,
  SLOW_BYTES_PER_SECOND,
  SLOW_WINDOW_MS,
} from '../../src/egress/idle-watch.ts';
import { INTERIM_BYTES_MAX } from '../../src/egress/interim-answers.ts';
import {
  RESOLVE_CACHE_MS,
  RESOLVE_PATIENCE_MS,
  RESOLVE_TIMEOUT_MS,
} from '../../src/egress/resolver.ts';
import { TAGS_REFUSED_MS } from '../../src/egress/tag-support.ts';
import { COMPLETE_SLOW_WINDOW_MS } from '../../src/egress/target-multipart.ts';
import { TAGGING_HEADER_BYTES_MAX } from '../../src/egress/target-sending.ts';
import { LINGER_MS } from '../../src/model/delivery.ts';

describe('the limits of requests to targets', () => {
  it('are these', () => {
    assert.deepEqual(
      {
        connect: CONNECT_TIMEOUT_MS,
        tcpKeepAlive: TCP_KEEP_ALIVE_MS,
        resolve: RESOLVE_TIMEOUT_MS,
        resolveCache: RESOLVE_CACHE_MS,
        resolvePatience: RESOLVE_PATIENCE_MS,
        idle: IDLE_MS,
        idleTick: IDLE_TICK_MS,
        slowWindow: SLOW_WINDOW_MS,
        slowBytesPerSecond: SLOW_BYTES_PER_SECOND,
        completeSlowWindow: COMPLETE_SLOW_WINDOW_MS,
        linger: LINGER_MS,
        tagsRefused: TAGS_REFUSED_MS,
        taggingHeaderBytes: TAGGING_HEADER_BYTES_MAX,
        interimBytes: INTERIM_BYTES_MAX,
      },
      {
        connect: 10_000,
        tcpKeepAlive: 60_000,
        resolve: 2_000,
        resolveCache: 10_000,
        resolvePatience: 250,
        idle: 30_000,
        idleTick: 5_000,
        slowWindow: 60_000,
        slowBytesPerSecond: 1_024,
        completeSlowWindow: 600_000,
        linger: 60_000,
        tagsRefused: 3_600_000,
        taggingHeaderBytes: 2_048,
        interimBytes: 65_536,
      },
    );
  });

  it('run on the clock that the client is given', async () => {
    const folder = new URL('../../src/egress/', import.meta.url);
    const found: string[] = [];
    for (const name of await readdir(folder)) {
      const source = await readFile(new URL(name, folder), 'utf8');
      if (/\bDate\.now|\bsetTimeout|\bsetInterval|\bperformance\b|new Date\(\)/.test(source)) {
        found.push(name);
      }
    }
    assert.deepEqual(found, []);
  });
});
