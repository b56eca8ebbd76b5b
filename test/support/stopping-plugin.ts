/**
 * The replication plugin of src/ in which calls of the engine's ports stop for good at the steps that
 * a test names (steps.ts). The process goes on otherwise, so that many buckets can each be brought to
 * a step of their own before one kill ends them all. And time can be made to pass.
 *
 * The hooks are around the ports: the outbox's methods, the one method through which every request to
 * a target goes, and the host's hook; and, for what a call of the outbox does in several transactions,
 * around the methods that begin them. Nothing in src/ knows of them.
 */
import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import { writeSync } from 'node:fs';
import type { Context, Middleware } from 'koa';
import { TargetRequester, type TargetRequest } from '../../src/egress/target-request.ts';
import { ConnectionSlots } from '../../src/engine/connection-slots.ts';
import type { AnnouncedWrite, BucketRef, Host, Plugin } from '../../src/host.ts';
import type { Claim } from '../../src/model/row.ts';
import { activate as activateReplication } from '../../src/plugin.ts';
import { StoredOutbox } from '../../src/store/outbox.ts';
import { StoredTenure } from '../../src/store/tenure.ts';
import { Transactions } from '../../src/store/transactions.ts';
import {
  describeStep,
  STEPS_PATH,
  STEPS_VARIABLE,
  TIME_PATH,
  type Call,
  type Moment,
  type OutboxCall,
  type Step,
  type TargetCall,
} from './steps.ts';

const STDERR = 2;

interface RunningCall {
  readonly call: OutboxCall;
  readonly bucket: string | null;
  /** How many it has begun. */
  transactions: number;
}

/** Steps that were asked for, with how often each must still be reached. */
const wanted: { readonly step: Step; left: number }[] = [];
/** The bucket of each announcement. */
const intents = new Map<number, string>();
/** The outbox's call that a transaction belongs to. */
const calls = new AsyncLocalStorage<RunningCall>();
let leapMs = 0;
/** Where the monotonic clock stands still. */
let stillMs: number | null = null;

stopAt(JSON.parse(process.env[STEPS_VARIABLE] ?? '[]') as readonly Step[]);
moveClocks();
hookOutbox();
hookTransactions();
hookTargets();
hookShares();

export async function activate(host: Host, options: unknown): Promise<Plugin> {
  const plugin = await activateReplication(host, options);
  return {
    ...plugin,
    middleware: createMiddleware(plugin.middleware),
    announce: (writes) => announce(plugin, writes),
  };
}

function stopAt(steps: readonly Step[]): void {
  for (const step of steps) wanted.push({ step, left: Number(step.name.split('#')[1] ?? 1) });
}

/** Never returns from a step that was asked for. */
async function pass(call: Call, moment: Moment | 'between', bucket: string | null): Promise<void> {
  const reached = wanted.filter(
    ({ step }) => step.name.split('#')[0] === `${call}:${moment}` && step.bucket === bucket,
  );
  for (const one of reached) {
    one.left -= 1;
    if (one.left !== 0) continue;
    writeSync(STDERR, describeStep(one.step));
    await new Promise<never>(() => undefined);
  }
}

async function around<T>(call: Call, bucket: string | null, work: () => Promise<T>): Promise<T> {
  await pass(call, 'before', bucket);
  const result = await work();
  await pass(call, 'after', bucket);
  return result;
}

function hookOutbox(): void {
  const ofWrites = (writes: readonly { readonly bucket: BucketRef }[]): string | null =>
    writes[0]?.bucket.name ?? null;
  const ofClaim = ({ row }: Claim): string => row.lane.bucket.name;
  const ofProcess = (): null => null;
  const outbox = StoredOutbox.prototype;
  hook(outbox, 'announce', (writes) => ofWrites(writes));
  hook(outbox, 'commit', (_intent, writes) => ofWrites(writes));
  hook(outbox, 'abandon', (intent) => intents.get(intent) ?? null);
  hook(outbox, 'acquireLease', ofProcess);
  hook(outbox, 'startResync', (bucket) => bucket.name);
  const tenure = StoredTenure.prototype;
  hook(tenure, 'claim', (lane) => lane.bucket.name);
  hook(tenure, 'storeUpload', ofClaim);
  hook(tenure, 'settleClaim', ofClaim);
  hook(tenure, 'advanceResync', ({ bucket }) => bucket.name);
  for (const call of ['recoverClaims', 'clampSchedules', 'leftIntents'] as const) {
    hook(tenure, call, ofProcess);
  }
  for (const call of ['settle', 'sweep'] as const) hook(tenure, call, ofProcess);
}

type ArgumentsOf<Method> = Method extends (...args: infer Args) => unknown ? Args : never;

function hook<Port extends object, Name extends OutboxCall & keyof Port>(
  prototype: Port,
  call: Name,
  bucketOf: (...args: ArgumentsOf<Port[Name]>) => string | null,
): void {
  const methods = prototype as Record<Name, (...args: ArgumentsOf<Port[Name]>) => Promise<unknown>>;
  const original = methods[call];
  methods[call] = async function (this: unknown, ...args) {
    const bucket = bucketOf(...args);
    await pass(call, 'before', bucket);
    const running = { call, bucket, transactions: 0 };
    const result = await calls.run(running, () => original.apply(this, args));
    if (call === 'announce' && bucket !== null) {
      intents.set((result as { readonly intent: number }).intent, bucket);
    }
    await pass(call, 'after', bucket);
    return result;
  };
}

function hookTransactions(): void {
  /* eslint-disable @typescript-eslint/unbound-method -- they are called with `this` below */
  const { write, writeTogether } = Transactions.prototype;
  const { subscribe } = StoredOutbox.prototype;
  /* eslint-enable @typescript-eslint/unbound-method */
  Transactions.prototype.write = async function (this: Transactions, work) {
    await passBetween();
    return write.call(this, work) as ReturnType<typeof work>;
  };
  Transactions.prototype.writeTogether = async function (this: Transactions, work, manner) {
    await passBetween();
    return writeTogether.call(this, work, manner) as ReturnType<typeof work>;
  };
  // What a call tells of its commit leads to calls that are no part of it.
  StoredOutbox.prototype.subscribe = function (this: StoredOutbox, listener) {
    return subscribe.call(this, AsyncResource.bind(listener));
  };
}

async function passBetween(): Promise<void> {
  const running = calls.getStore();
  if (running === undefined) return;
  running.transactions += 1;
  if (running.transactions > 1) await pass(running.call, 'between', running.bucket);
}

/** Keys begin with the name of their bucket: a request knows no more of it. */
/** Deliveries that stand still keep their connections: each bucket counts as an owner of its own. */
function hookShares(): void {
  // eslint-disable-next-line @typescript-eslint/unbound-method -- it is called with `this` below
  const { join } = ConnectionSlots.prototype;
  ConnectionSlots.prototype.join = function (this: ConnectionSlots, _ownerId, onFree) {
    return join.call(this, randomUUID(), onFree);
  };
}

function hookTargets(): void {
  // eslint-disable-next-line @typescript-eslint/unbound-method -- it is called with `this` below
  const original = TargetRequester.prototype.send;
  TargetRequester.prototype.send = function (this: TargetRequester, request) {
    const bucket = request.key.split('/')[0] ?? '';
    return around(callOf(request), bucket, () => original.call(this, request));
  };
}

function callOf({ method, query = '' }: TargetRequest): TargetCall {
  const isOfUpload = query.includes('uploadId=');
  switch (method) {
    case 'HEAD':
      return 'headObject';
    case 'GET':
      return 'listParts';
    case 'PUT':
      return isOfUpload ? 'uploadPart' : 'putObject';
    case 'DELETE':
      return isOfUpload ? 'abortMultipartUpload' : 'deleteObject';
    case 'POST':
      return isOfUpload ? 'completeMultipartUpload' : 'createMultipartUpload';
  }
}

async function announce(
  plugin: Plugin,
  writes: readonly AnnouncedWrite[],
): ReturnType<NonNullable<Plugin['announce']>> {
  const announcement = await plugin.announce!(writes);
  const bucket = writes[0]?.bucket.name ?? null;
  return {
    ...announcement,
    committed: (committed) => around('committed', bucket, () => announcement.committed(committed)),
  };
}

/** All clocks leap together, as after a while in which nothing happened; only one can stand still. */
function moveClocks(): void {
  const wallClock = Date.now.bind(Date);
  const monotonic = performance.now.bind(performance);
  const sinceBoot = process.hrtime.bigint.bind(process.hrtime);
  Date.now = () => wallClock() + leapMs;
  process.hrtime.bigint = () => sinceBoot() + BigInt(Math.round(leapMs)) * 1_000_000n;
  performance.now = () => (stillMs ?? monotonic()) + leapMs;
}

function createMiddleware(replication: Middleware): Middleware {
  return async (ctx, next) => {
    if (ctx.path === STEPS_PATH) {
      stopAt((await readJson(ctx)) as readonly Step[]);
      ctx.status = 204;
    } else if (ctx.path === TIME_PATH && ctx.method === 'PUT') {
      stillMs ??= performance.now() - leapMs;
      ctx.status = 204;
    } else if (ctx.path === TIME_PATH) {
      leapMs += ((await readJson(ctx)) as { readonly leapMs: number }).leapMs;
      ctx.status = 204;
    } else {
      await replication(ctx, next);
    }
  };
}

async function readJson(ctx: Context): Promise<unknown> {
  let text = '';
  for await (const chunk of ctx.req) text += String(chunk);
  return JSON.parse(text);
}
