/**
 * One real server with the real plugin whose disk fails under load. Counts what must be zero: ends of
 * the process and acknowledged objects that cannot be read, while it runs and after a kill.
 */
import { startFakeTarget, type FakeTarget } from '../support/fake-target/fake-target.ts';
import { startSite, type Site, type SiteOptions } from '../support/replication-site.ts';
import type { Control, Timed } from './control.ts';
import { Load, systemClock } from './load.ts';

/** Several probes of a disk that fails (commits.ts) fall into it. */
const FAULT_MS = 1_600;
const BEFORE_MS = 600;
const GIVE_UP_MS = 1_000;
const LIMIT_MS = 60_000;
const END_MS_MAX = 30_000;

export interface FaultCase {
  readonly dataDirectory: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly begin: () => void;
  readonly end: () => void;
  /** The disk fails in LMDB's header: only a restart helps, and nothing may be lost. */
  readonly needsRestart: boolean;
}

export interface FaultResult {
  readonly ended: number;
  readonly lost: number;
  readonly acknowledged: number;
  readonly refused: number;
  /** Until a put, a save and a delivery succeed after the end of the fault; null where a restart is needed. */
  readonly normal: Timed | null;
  readonly isGood: boolean;
}

export async function runFault(fault: FaultCase, control: Control): Promise<FaultResult> {
  const options = { ...fault, name: 'faults', region: 'eu-test-1' };
  const cleanups: (() => unknown)[] = [];
  const target = await startFakeTarget(
    { after: (cleanup) => cleanups.push(cleanup) },
    { clock: systemClock },
  );
  try {
    return await runWith(fault, options, target, control);
  } finally {
    for (const cleanup of cleanups) await cleanup();
  }
}

async function runWith(
  fault: FaultCase,
  options: SiteOptions,
  target: FakeTarget,
  control: Control,
): Promise<FaultResult> {
  let site = await startSite(options);
  let ended = 0;
  void site.process.exited.then(() => (ended += 1));
  const load = new Load(site, target);
  await load.prepare();
  const running = load.run();
  await pause(BEFORE_MS);
  fault.begin();
  await pause(FAULT_MS);
  const refused = load.refused;
  fault.end();
  const normal = fault.needsRestart
    ? null
    : await control.judge(() => load.waitUntilNormal(() => ended > 0));
  load.stop();
  // Where LMDB is broken a request may never be answered.
  await Promise.race([running, pause(fault.needsRestart ? GIVE_UP_MS : LIMIT_MS)]);
  let lost = ended === 0 && !fault.needsRestart ? await load.countLost() : 0;
  const endedEarly = ended;
  const canEnd = !fault.needsRestart || (await endsByItself(site));
  await site.process.kill();
  site = await startSite({ ...options, environment: {} });
  load.use(site);
  lost += await load.countLost();
  await site.process.kill();
  const isAlive = endedEarly === 0 && normal?.isInTime === true;
  return {
    ended: endedEarly,
    lost,
    acknowledged: load.acknowledged,
    refused,
    normal,
    isGood: canEnd && lost === 0 && refused > 0 && (isAlive || fault.needsRestart),
  };
}

/** Within what supervisors allow after SIGTERM, whatever the exit code: LMDB may be broken. */
async function endsByItself({ process }: Site): Promise<boolean> {
  process.signal('SIGTERM');
  return await Promise.race([process.exited.then(() => true), pause(END_MS_MAX).then(() => false)]);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
