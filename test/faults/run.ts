/**
 * `npm run faults`: the cases of a failing disk, one line for each; fails where a process ended, an
 * acknowledged object was lost, or the server was not normal within 2 s of the end of the fault, and
 * more where a healthy server beside it is slow too (control.ts).
 */
import { mkdtempSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildFaultyDisk, isAvailable, mountSmallDisk } from './faulty-disk.ts';
import { Control, type Timed } from './control.ts';
import { runFault, type FaultCase } from './fault-run.ts';
import { runReserve } from './reserve-run.ts';

const WRITES = 'write,writev,pwrite';
const ENOSPC = 28;
const EIO = 5;
const EROFS = 30;

const REFUSED = [
  ['ENOSPC', WRITES, ENOSPC, false],
  ['EIO', WRITES, EIO, false],
  ['EIO in flushes', 'fdatasync', EIO, false],
  ['EROFS', WRITES, EROFS, false],
  ['EIO in the header', 'header', EIO, true],
] as const;
const SMALL = [
  ['full tmpfs', 'size=32m', fillBytes],
  ['tmpfs without inodes', 'size=64m,nr_inodes=1200', fillInodes],
] as const;

/** `npm run faults -- header server`: the cases whose names have all of these. */
const filters = process.argv.slice(2);
const startedAt = performance.now();
const root = mkdtempSync(join(tmpdir(), 'faults-'));
let failed = 0;
const control = await Control.start(root);
try {
  for (const [name, options, fill] of SMALL) await runSmall(name, options, fill);
  await runWithoutRoom('deletes and saves on a disk without room');
  for (const folder of ['server', 'replication']) {
    for (const [name, calls, errno, needsRestart] of REFUSED) {
      await runRefused(`${name}, ${folder}`, calls, errno, folder, needsRestart);
    }
  }
} finally {
  await control.stop();
  rmSync(root, { recursive: true, force: true });
}
console.log(`took ${Math.round((performance.now() - startedAt) / 1_000)} s`);
process.exit(failed === 0 ? 0 : 1);

async function runSmall(
  name: string,
  options: string,
  fill: (directory: string) => () => void,
): Promise<void> {
  if (!isAsked(name)) return;
  const disk = mountSmallDisk(join(root, 'small'), options);
  if (!isAvailable(disk)) return void console.log(`${name}: not run, ${disk.unavailable}`);
  try {
    const dataDirectory = join(disk.path, 'data');
    let empty = (): void => undefined;
    const begin = (): void => void (empty = fill(disk.path));
    await run(name, {
      dataDirectory,
      environment: {},
      begin,
      end: () => empty(),
      needsRestart: false,
    });
  } finally {
    disk.unmount();
  }
}

async function runWithoutRoom(name: string): Promise<void> {
  if (!isAsked(name)) return;
  const disk = mountSmallDisk(join(root, 'small'), 'size=64m');
  if (!isAvailable(disk)) return void console.log(`${name}: not run, ${disk.unavailable}`);
  try {
    const { isGood, refusals, acceptedPuts, reason } = await runReserve(disk.path);
    if (!isGood) failed += 1;
    console.log(
      `${isGood ? 'ok  ' : 'FAIL'} ${name}: ${refusals.length} refused, ${acceptedPuts} puts accepted; ` +
        `puts: ${reason}${refusals
          .slice(0, 3)
          .map((refusal) => `\n  ${refusal}`)
          .join('')}`,
    );
  } finally {
    disk.unmount();
  }
}

async function runRefused(
  name: string,
  calls: string,
  errno: number,
  folder: string,
  needsRestart: boolean,
): Promise<void> {
  if (!isAsked(name)) return;
  const disk = buildFaultyDisk(root);
  if (!isAvailable(disk)) return void console.log(`${name}: not run, ${disk.unavailable}`);
  const dataDirectory = mkdtempSync(join(root, 'data-'));
  await run(name, {
    dataDirectory,
    environment: disk.environment,
    begin: () => disk.fail(calls, errno, join(dataDirectory, folder)),
    end: () => disk.heal(),
    needsRestart,
  });
}

async function run(name: string, fault: FaultCase): Promise<void> {
  const result = await runFault(fault, control);
  const { ended, lost, acknowledged, refused } = result;
  if (!result.isGood) failed += 1;
  const normal = describe(result.normal);
  console.log(
    `${result.isGood ? 'ok  ' : 'FAIL'} ${name}: ${ended} ended${fault.needsRestart ? ' (it may)' : ''}, ` +
      `${lost} of ${acknowledged} acknowledged lost, ${refused} refused, ${normal}`,
  );
}

function describe(normal: Timed | null): string {
  if (normal === null) return 'restarted';
  const { tookMs, controlMs } = normal;
  const after = tookMs === null ? 'never normal' : `normal after ${tookMs / 1_000} s`;
  return `${after} (a round of the control: ${controlMs / 1_000} s)`;
}

function isAsked(name: string): boolean {
  return filters.every((filter) => name.includes(filter));
}

/** Returns what gives the room back. */
function fillBytes(directory: string): () => void {
  const file = join(directory, 'ballast');
  for (let size = 32 * 1024 * 1024; size >= 4096;) {
    try {
      writeFileSync(file, Buffer.alloc(size), { flag: 'a' });
    } catch {
      size /= 2;
    }
  }
  return () => unlinkSync(file);
}

function fillInodes(directory: string): () => void {
  const files: string[] = [];
  try {
    for (;;) {
      const file = join(directory, `ballast-${files.length}`);
      writeFileSync(file, '');
      files.push(file);
    }
  } catch {
    return () => files.forEach((file) => unlinkSync(file));
  }
}
