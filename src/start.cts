#!/usr/bin/env node
/**
 * The entry of the command `alarik-replication`: makes libuv's thread pool large enough, then runs the
 * command (main.ts).
 *
 * File access, hashes of passwords and lookups of names share the pool, and four threads (libuv's
 * default) are taken by two logins and two slow name servers. Its size is read at its first use, which
 * in an ES module as the entry is before any of our code: Node's loader reads modules through it. A
 * CommonJS entry is read without it. Measured on Node 20.20: set at the top of an ES module it is
 * ignored, here it counts.
 */

/** Two hashes, the lookups of deliveries and saves, and enough beside them for files. */
const POOL_THREADS = '16';

// Who chose a size is left with it.
process.env['UV_THREADPOOL_SIZE'] ??= POOL_THREADS;

void import('./main.ts');
