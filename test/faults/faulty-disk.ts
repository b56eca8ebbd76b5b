/**
 * Disks that fail: a preloaded library that refuses single calls (needs a C compiler), and a small
 * tmpfs that is full or out of inodes (needs root). Each says why where it cannot be had.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SOURCE = fileURLToPath(new URL('./faulty-disk.c', import.meta.url));

/** In the environment of the process whose disk is to fail. */
export type FaultyEnvironment = Readonly<Record<'LD_PRELOAD' | 'FAULT_SWITCH', string>>;

export interface FaultyDisk {
  readonly environment: FaultyEnvironment;
  /** @param calls `write`, `writev`, `pwrite`, `header`, `fdatasync`, `fsync`, separated by commas */
  fail(calls: string, errno: number, below: string): void;
  heal(): void;
}

export type Unavailable = { readonly unavailable: string };

/** @param directory for the library and its switch */
export function buildFaultyDisk(directory: string): FaultyDisk | Unavailable {
  const library = join(directory, 'faulty-disk.so');
  const file = join(directory, 'fault');
  if (process.platform !== 'linux')
    return { unavailable: 'only Linux preloads libraries like this' };
  try {
    const flags = ['-shared', '-fPIC', '-O1', '-w', '-fpermissive', '-o', library, SOURCE, '-ldl'];
    execFileSync('g++', ['-x', 'c++', ...flags], { stdio: 'pipe' });
  } catch (error) {
    return { unavailable: `g++ did not build the library: ${(error as Error).message}` };
  }
  writeFileSync(file, '');
  return {
    environment: { LD_PRELOAD: library, FAULT_SWITCH: file },
    fail: (calls, errno, below) => writeFileSync(file, `${calls} ${errno} ${below}`),
    heal: () => writeFileSync(file, ''),
  };
}

export interface SmallDisk {
  readonly path: string;
  unmount(): void;
}

/** @param options of mount, for instance `size=24m,nr_inodes=600` */
export function mountSmallDisk(path: string, options: string): SmallDisk | Unavailable {
  mkdirSync(path, { recursive: true });
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', path], { stdio: 'pipe' });
  } catch (error) {
    return { unavailable: `no tmpfs can be mounted: ${(error as Error).message}` };
  }
  return { path, unmount: () => execFileSync('umount', ['-l', path], { stdio: 'pipe' }) };
}

export function isAvailable<T extends object>(disk: T | Unavailable): disk is T {
  return !('unavailable' in disk);
}
