/**
 * The measured side of the fence: a process that is set up once, does what it is told to, and tells
 * what that cost. Every peer and every load generator is one, so that both sides of a comparison are
 * started, driven and measured by the same code.
 *
 * Messages from the parent: run, usage, close. Each is answered under its id; the first message of
 * the child is `ready`, with whatever the parent must know (a port, for instance).
 */
import { forgetPeak, readPeakBytes } from './process-usage.ts';

/** What a process has used since it started, and the most memory since the last time it was asked. */
export interface Usage {
  /** User and system, microseconds. */
  readonly cpuMicros: number;
  readonly residentBytes: number;
  readonly peakBytes: number;
}

export interface Subject {
  /** Told to the parent once the subject is ready. */
  readonly ready: unknown;
  run?(parameters: unknown): Promise<unknown>;
  close(): Promise<void>;
}

export type ToSubject =
  | { readonly id: number; readonly kind: 'run'; readonly parameters: unknown }
  | { readonly id: number; readonly kind: 'usage' | 'close' };

export type FromSubject =
  | { readonly kind: 'ready'; readonly value: unknown }
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failure'; readonly id: number; readonly message: string };

/** Serves the parent until it says `close` or is gone. `open` gets what the parent passed at start. */
export async function serveSubject<P>(open: (parameters: P) => Promise<Subject>): Promise<void> {
  const subject = await open(JSON.parse(process.argv[2] ?? 'null') as P);
  process.on('message', (message: ToSubject) => {
    handle(subject, message).then(
      (value) => answer(message, { kind: 'answer', id: message.id, value }),
      (error: unknown) =>
        answer(message, { kind: 'failure', id: message.id, message: String(error) }),
    );
  });
  process.on('disconnect', () => process.exit(1));
  send({ kind: 'ready', value: subject.ready });
}

async function handle(subject: Subject, message: ToSubject): Promise<unknown> {
  switch (message.kind) {
    case 'run':
      if (subject.run === undefined) throw new Error('This subject has nothing to run.');
      return subject.run(message.parameters);
    case 'usage':
      return readUsage();
    case 'close':
      await subject.close();
      return null;
  }
}

function answer(message: ToSubject, reply: FromSubject): void {
  if (message.kind !== 'close') {
    send(reply);
    return;
  }
  // Handles that a library left open must not keep the process alive.
  process.send!(reply, undefined, {}, () => process.exit(0));
}

function send(message: FromSubject): void {
  process.send!(message);
}

function readUsage(): Usage {
  const { user, system } = process.cpuUsage();
  const residentBytes = process.memoryUsage.rss();
  return { cpuMicros: user + system, residentBytes, peakBytes: takePeak() };
}

/** Linux forgets the peak on request; elsewhere it is that of the process's whole life. */
function takePeak(): number {
  try {
    const peakBytes = readPeakBytes('self');
    forgetPeak('self');
    if (peakBytes !== null) return peakBytes;
  } catch {
    // There is no /proc.
  }
  return process.resourceUsage().maxRSS * 1024;
}
