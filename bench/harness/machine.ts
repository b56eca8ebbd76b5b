/** Facts about the machine that explain a result: without them a number means nothing elsewhere. */
import {
  closeSync,
  fdatasyncSync,
  openSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { cpus, release, tmpdir, totalmem, type as osType } from 'node:os';
import { dirname, join } from 'node:path';
import { CHECKOUT } from './compiled-tree.ts';
import { medianOf } from './statistics.ts';

export interface MachineFacts {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly system: string;
  readonly node: string;
  /** Where the benches keep their data: file system magic number (statfs) and the cost of a flush. */
  readonly disk: { readonly fileSystem: string; readonly flushMicros: number };
  readonly packages: Readonly<Record<string, string>>;
}

const PACKAGES = ['koa', '@koa/router', 'koa-body', 'lmdb', 'undici', '@aws-sdk/client-s3'];
const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  0xef53: 'ext4',
  0x01021994: 'tmpfs',
  0x58465342: 'xfs',
  0x9123683e: 'btrfs',
  0x794c7630: 'overlay',
};
const FLUSHES = 50;

export function readMachineFacts(): MachineFacts {
  const [cpu] = cpus();
  const magic = statfsSync(tmpdir()).type;
  return {
    cpu: cpu?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${osType()} ${release()}`,
    node: process.version,
    disk: {
      fileSystem: FILE_SYSTEMS[magic] ?? `0x${magic.toString(16)}`,
      flushMicros: Math.round(measureFlush()),
    },
    packages: Object.fromEntries(PACKAGES.map((name) => [name, packageVersion(name)])),
  };
}

/** Median of appending 4 KiB and waiting for the disk. */
function measureFlush(): number {
  const path = join(tmpdir(), `alarik-bench-flush-${process.pid}`);
  const file = openSync(path, 'w');
  const page = Buffer.alloc(4096, 1);
  try {
    return medianOf(
      Array.from({ length: FLUSHES }, () => {
        const start = performance.now();
        writeSync(file, page);
        fdatasyncSync(file);
        return (performance.now() - start) * 1000;
      }),
    );
  } finally {
    closeSync(file);
    rmSync(path);
  }
}

/** Read from the file, as most packages do not export their package.json. */
function packageVersion(name: string): string {
  const paths = createRequire(join(CHECKOUT, 'package.json')).resolve.paths(name) ?? [];
  for (const folder of paths) {
    try {
      const text = readFileSync(join(folder, name, 'package.json'), 'utf8');
      return (JSON.parse(text) as { version: string }).version;
    } catch {
      continue;
    }
  }
  return `missing below ${dirname(CHECKOUT)}`;
}
