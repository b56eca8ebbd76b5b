/**
 * Random sequences of changes over the real HTTP API of `serve` with the real plugin, against a pure
 * model: they agree after every step, and after the process is killed in the middle of a burst of
 * concurrent requests and started again.
 *
 * `CONFIGURATION_RUNS` sets the number of runs. What a kill cuts off is up to the machine. A failure
 * prints its seed and path (test/support/seed.ts); only with them is a smaller counterexample looked
 * for, each of whose steps starts a server.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { targetBody } from '../support/replication-bodies.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { CheckedBuckets } from './checked-buckets.ts';
import { Coverage } from './coverage.ts';
import { plannedRequest, type PlannedRequest } from './planned-requests.ts';
import { ServerLives } from './server-lives.ts';
import { assertProperty, isReplay } from '../support/seed.ts';

const RUNS = 10;
const numRuns = Number(process.env['CONFIGURATION_RUNS'] ?? RUNS);
const BUCKETS = 3;

const WANTED = [
  ...['putTargets 200', 'putTargets 400 InvalidRequest', 'putTargets 400 InvalidPrecondition'],
  ...['putTargets 403 EndpointNotAllowed', 'putTargets 404 NoSuchBucket'],
  ...['putTargets 412 PreconditionFailed', 'putRules 200', 'putRules 400 InvalidRequest'],
  ...['putRules 400 VersioningNotEnabled', 'putRules 412 PreconditionFailed'],
  ...['setVersioning 200', 'setVersioning 409 InvalidBucketState'],
  ...['createBucket 201', 'createBucket 409 BucketAlreadyExists', 'deleteBucket 204'],
  ...['rule disabled with its target', 'secret kept by the mask'],
  ...['burst, answered', 'burst, cut off'],
];

const bucket = fc.nat({ max: BUCKETS - 1 });
const steps = (minLength: number, maxLength: number) =>
  fc.array(fc.tuple(bucket, plannedRequest), { minLength, maxLength, size: 'max' });

const run = fc.record({
  before: steps(30, 250),
  burst: fc.record({
    clients: fc.array(
      fc.record({
        bucket,
        requests: fc.array(plannedRequest, { minLength: 2, maxLength: 8, size: 'max' }),
      }),
      { minLength: 3, maxLength: 8, size: 'max' },
    ),
    answersUntilKill: fc.nat({ max: 16 }),
  }),
  after: steps(0, 30),
});

describe('targets and rules on a running server', () => {
  const directory = temporaryDirectory({ after });
  const lives = new ServerLives(directory);
  const coverage = new Coverage();
  let runs = 0;

  before(async () => {
    await lives.start();
    await lives.makeAccounts();
  });

  it('a target whose name does not resolve is saved', async (t) => {
    const connection = lives.connect();
    t.after(() => connection.close());
    const actor = 'ann';
    await connection.send('named', { kind: 'createBucket', actor, versioned: true });
    const endpoints = ['https://s3.example.com', 'https://remote.example.invalid'];
    for (const endpoint of endpoints) {
      const list = [{ ...targetBody({ endpoint }) }];
      const answer = await connection.send('named', {
        kind: 'putTargets',
        actor,
        list,
        ifMatch: null,
      });
      assert.equal(answer.status, 200, answer.text);
    }
  });

  it('agree with the model', async (t) => {
    const property = fc.asyncProperty(
      fc.noBias(run),
      async ({ before: first, burst, after: last }) => {
        runs += 1;
        const names = Array.from({ length: BUCKETS }, (_, index) => `run-${runs}-${index}`);
        const buckets = new CheckedBuckets(lives, names, coverage);
        try {
          await makeBuckets(buckets);
          for (const [index, request] of first) await buckets.send(index, request);
          await buckets.crash(burst);
          for (const [index, request] of last) await buckets.send(index, request);
          await buckets.readAll();
          await buckets.checkSecrets();
        } finally {
          buckets.close();
        }
      },
    );
    await assertProperty(property, {
      numRuns,
      endOnFailure: !isReplay,
    });
    for (const line of coverage.lines()) t.diagnostic(line);
    t.diagnostic(`${lives.started} processes`);
    if (!isReplay && numRuns >= RUNS) coverage.assertSeen(WANTED);
    const { code, log } = await lives.stop();
    assert.equal(code, 0);
    assert.doesNotMatch(log, /"level":[56]0/, 'the last process logged no error');
  });
});

/** Most plans say nothing to a bucket that does not exist. */
async function makeBuckets(buckets: CheckedBuckets): Promise<void> {
  const actors = ['ann', 'bob', 'alarik'] as const;
  for (const [index, actor] of actors.entries()) {
    const plan: PlannedRequest = { kind: 'createBucket', actor, versioned: index !== 1 };
    await buckets.send(index, plan);
  }
}
