/** The parent's handle on a subject (subject.ts): starts the process, talks to it, ends it. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { FromSubject, ToSubject, Usage } from './subject.ts';

const CLOSE_TIMEOUT_MS = 10_000;

type Waiting = { resolve(value: unknown): void; reject(error: Error): void };
type Command = { kind: 'run'; parameters: unknown } | { kind: 'usage' | 'close' };

export class SubjectProcess {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  #ready: unknown;
  #lastId = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /**
   * Resolves once the subject is ready.
   *
   * @param file the subject's compiled module
   * @param nodeOptions for node itself, for instance `--expose-gc`
   * @throws Error where the process ends before
   */
  static async start(
    file: string,
    parameters: unknown,
    nodeOptions: readonly string[] = [],
  ): Promise<SubjectProcess> {
    const child = fork(file, [JSON.stringify(parameters)], {
      execArgv: [...nodeOptions],
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const subject = new SubjectProcess(child);
    await new Promise<void>((resolve, reject) => {
      child.on('message', (message: FromSubject) => subject.#receive(message, resolve));
      child.once('exit', (code, signal) => {
        const error = new Error(`${file} ended with ${code ?? signal}.`);
        reject(error);
        for (const waiting of subject.#waiting.values()) waiting.reject(error);
      });
    });
    return subject;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** What the subject told when it was ready. */
  ready<T>(): T {
    return this.#ready as T;
  }

  run<T>(parameters: unknown): Promise<T> {
    return this.#send({ kind: 'run', parameters }) as Promise<T>;
  }

  /** The peak is that since the last call. */
  usage(): Promise<Usage> {
    return this.#send({ kind: 'usage' }) as Promise<Usage>;
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    const deadline = setTimeout(() => this.#child.kill('SIGKILL'), CLOSE_TIMEOUT_MS);
    try {
      await this.#send({ kind: 'close' }).catch(() => this.#child.kill('SIGKILL'));
      await exited;
    } finally {
      clearTimeout(deadline);
    }
  }

  #send(command: Command): Promise<unknown> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      const message: ToSubject = { ...command, id };
      this.#child.send(message, (error) => {
        if (error !== null) reject(error);
      });
    });
  }

  #receive(message: FromSubject, onReady: () => void): void {
    if (message.kind === 'ready') {
      this.#ready = message.value;
      onReady();
      return;
    }
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (message.kind === 'answer') waiting?.resolve(message.value);
    else waiting?.reject(new Error(message.message));
  }
}
