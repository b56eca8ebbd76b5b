/**
 * The reference server, `alarik-replication serve`, whole and in a process of its own: what objects
 * are replicated from where a peer reads them over S3, and a target that keeps what it is sent.
 *
 * It has one bucket, of the name that every bench sends to, and the credentials that they sign with.
 */
import { join } from 'node:path';
import { RULE_ID, ruleList, targetList } from '../subjects/replication-lists.ts';
import { CREDENTIALS, REGION, TARGET_BUCKET } from '../subjects/signed-requests.ts';
import type { BenchContext } from './bench.ts';
import { untilDrained } from './delivery.ts';
import { callJson } from './json-call.ts';
import type { OutsideUsage } from './process-usage.ts';
import type { Program } from './program.ts';

const ADMIN = { username: 'alarik', password: 'bench of the reference server' };
const REPLICATION = `/api/v1/buckets/${TARGET_BUCKET}/replication`;
const POLL_MS = 20;

interface TargetStatus {
  readonly queued: number;
  readonly failed: number;
  readonly lastError: string | null;
}

export class ReferenceServer {
  readonly endpoint: string;
  readonly #program: Program;
  readonly #authorization: string;

  private constructor(program: Program, endpoint: string, token: string) {
    this.#program = program;
    this.endpoint = endpoint;
    this.#authorization = `Bearer ${token}`;
  }

  /** @param versioning of its bucket; rules need it */
  static async start(
    context: BenchContext,
    { versioning }: { versioning: boolean },
  ): Promise<ReferenceServer> {
    const directory = context.directory();
    const program = context.program('src/main.ts', {
      args: ['serve', '--port', '0', '--data', join(directory, 'data')],
      environment: {
        // As the command's own entry sets it.
        UV_THREADPOOL_SIZE: '16',
        ADMIN_USERNAME: ADMIN.username,
        ADMIN_PASSWORD: ADMIN.password,
        ALARIK_REGION: REGION,
        DEFAULT_ACCESS_KEY: CREDENTIALS.accessKeyId,
        DEFAULT_SECRET_KEY: CREDENTIALS.secretAccessKey,
      },
      logFile: join(directory, 'server.log'),
    });
    const [, endpoint = ''] = await program.printed(/listening on (http:\/\/\S+)\n/);
    const login = { method: 'POST', url: `${endpoint}/api/v1/users/login`, body: ADMIN };
    const { token } = await callJson<{ token: string }>(login);
    const server = new ReferenceServer(program, endpoint, token);
    const bucket = { name: TARGET_BUCKET, versioningEnabled: versioning };
    await server.#call('POST', '/api/v1/buckets', bucket);
    return server;
  }

  usage(): Promise<OutsideUsage> {
    return this.#program.usage();
  }

  close(): Promise<void> {
    return this.#program.close();
  }

  /** Saves the target; a disabled one is a pause. */
  async replicateTo(endpoint: string, enabled: boolean): Promise<void> {
    await this.#call('PUT', `${REPLICATION}/targets`, targetList(endpoint, enabled));
  }

  async saveRule(): Promise<void> {
    await this.#call('PUT', `${REPLICATION}/rules`, ruleList());
  }

  /** Queues every object of the bucket, of which there must be that many. */
  async queueAll(objects: number): Promise<void> {
    const path = `${REPLICATION}/rules/${RULE_ID}/resync`;
    await this.#call('POST', path);
    for (;;) {
      const { state } = await this.#call<{ state: string }>('GET', path);
      if (state === 'completed') break;
      if (state !== 'running') throw new Error(`The resync is ${state}.`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    const { queued } = await this.#status();
    if (queued !== objects) throw new Error(`${queued} of ${objects} objects are queued.`);
  }

  /** @throws Error where the queue does not get shorter, with what the status says */
  drained(): Promise<void> {
    return untilDrained(() => this.#status());
  }

  async #status(): Promise<TargetStatus> {
    const path = `${REPLICATION}/status`;
    const { targets } = await this.#call<{ targets: TargetStatus[] }>('GET', path);
    return targets[0]!;
  }

  #call<T>(method: string, path: string, body?: object): Promise<T> {
    const call = { method, url: this.endpoint + path, authorization: this.#authorization };
    return callJson<T>(body === undefined ? call : { ...call, body });
  }
}
