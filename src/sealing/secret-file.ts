/**
 * A secret that is made once and kept in a file that only its owner can read.
 *
 * Several processes may start at once: the complete file is linked to its name, which fails where
 * another process was first, so that all of them read the same secret.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';

/**
 * Returns the text of the file, without surrounding white space; where it is missing, writes 32
 * random bytes as base64 into it first, mode 0600, durable on return.
 *
 * @throws Error where the world can read the file
 */
export function readOrCreateSecret(path: string, warn?: WarnOfSecret): string {
  return readSecret(path, warn) ?? createSecret(path);
}

/** Told of a file that others than its owner can read although they need not. */
export type WarnOfSecret = (message: string) => void;

const WORLD = 0o007;
const GROUP = 0o070;

/**
 * Returns the text of a file that somebody else made, without surrounding white space.
 *
 * @throws Error where the world can read it
 */
export function readPrivateFile(path: string, warn: WarnOfSecret = () => undefined): string {
  const { mode } = statSync(path);
  const mend = `run "chmod 600 ${path}", or set "defaultMode: 0400" on the volume in Kubernetes.`;
  if ((mode & WORLD) !== 0) {
    throw new Error(`Everybody on this machine can read the secret in ${path}: ${mend}`);
  }
  if ((mode & GROUP) !== 0) warn(`The group of ${path} can read the secret in it: ${mend}`);
  return readFileSync(path, 'utf8').trim();
}

function readSecret(path: string, warn?: WarnOfSecret): string | undefined {
  try {
    return readPrivateFile(path, warn);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function createSecret(path: string): string {
  const temporary = `${path}.${process.pid}.${randomBytes(6).toString('hex')}`;
  const file = openSync(temporary, 'wx', 0o600);
  try {
    writeSync(file, `${randomBytes(32).toString('base64')}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  try {
    linkSync(temporary, path);
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
  } finally {
    unlinkSync(temporary);
  }
  syncDirectory(dirname(path));
  return readFileSync(path, 'utf8').trim();
}

function syncDirectory(path: string): void {
  const directory = openSync(path, 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
