/**
 * A program that is run as its users run it, from a command line, and measured from outside: the
 * reference server, and tools that we did not write.
 *
 * It gets an environment of its own (nothing of the caller's but PATH). What it prints is kept in
 * memory as far as somebody may want to read it, its log goes to a file.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { forgetPeak, readOutsideUsage, UNKNOWN_USAGE, type OutsideUsage } from './process-usage.ts';

const CLOSE_TIMEOUT_MS = 15_000;
/** A program that ends takes what it used with it, so that it is read as it runs. */
const WATCH_INTERVAL_MS = 10;
const LOG_TAIL_CHARACTERS = 2_000;

export interface ProgramOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Gets stderr; read only when the program fails. */
  readonly logFile: string;
}

export class Program {
  readonly #child: ChildProcess;
  readonly #logFile: string;
  readonly #ended: Promise<unknown>;
  #printed = '';

  constructor({ command, args, environment, logFile }: ProgramOptions) {
    const log = openSync(logFile, 'w');
    this.#child = spawn(command, args, {
      env: { PATH: process.env['PATH'], ...environment },
      stdio: ['ignore', 'pipe', log],
    });
    closeSync(log);
    this.#logFile = logFile;
    this.#child.stdout!.setEncoding('utf8').on('data', (text: string) => (this.#printed += text));
    this.#ended = once(this.#child, 'close');
    // Whoever waits for it gets the error; until then it must not count as unhandled.
    this.#ended.catch(() => undefined);
  }

  /** @throws Error where the program ends before it prints that */
  async printed(expected: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = expected.exec(this.#printed);
      if (match !== null) return match;
      if (this.#hasEnded) throw this.#failure(`ended before it printed ${expected}`);
      await Promise.race([once(this.#child.stdout!, 'data'), this.#ended]);
    }
  }

  /** Since the last call, as far as the peak is concerned. */
  async usage(): Promise<OutsideUsage> {
    const { pid } = this.#child;
    if (pid === undefined || this.#hasEnded) return UNKNOWN_USAGE;
    const usage = readOutsideUsage(pid);
    if (usage !== UNKNOWN_USAGE) forgetPeak(pid);
    return usage;
  }

  /**
   * Waits for the end, and tells what the program had used a moment (10 ms) before it.
   *
   * @throws Error unless it succeeds
   */
  async finished(): Promise<OutsideUsage> {
    const { pid } = this.#child;
    let last = UNKNOWN_USAGE;
    const watch = setInterval(() => {
      const usage = pid === undefined ? UNKNOWN_USAGE : readOutsideUsage(pid);
      if (usage.peakBytes !== null) last = usage;
    }, WATCH_INTERVAL_MS);
    try {
      await this.#ended;
    } finally {
      clearInterval(watch);
    }
    if (this.#child.exitCode !== 0) throw this.#failure('failed');
    return last;
  }

  /** SIGTERM, and SIGKILL where that does not help. Idempotent. */
  async close(): Promise<void> {
    if (this.#hasEnded) return;
    const deadline = setTimeout(() => this.#child.kill('SIGKILL'), CLOSE_TIMEOUT_MS);
    this.#child.kill('SIGTERM');
    await this.#ended.catch(() => undefined);
    clearTimeout(deadline);
  }

  get #hasEnded(): boolean {
    const { pid, exitCode, signalCode } = this.#child;
    return pid === undefined || exitCode !== null || signalCode !== null;
  }

  #failure(what: string): Error {
    const { spawnfile, exitCode, signalCode } = this.#child;
    const log = readFileSync(this.#logFile, 'utf8').slice(-LOG_TAIL_CHARACTERS);
    return new Error(`${spawnfile} ${what} (${exitCode ?? signalCode}):\n${log}`);
  }
}
