/**
 * One data directory, and the server processes that live on it one after the other: what a crash
 * test holds on to. Accounts and their tokens outlive the processes.
 */
import { join } from 'node:path';
import { KeepAliveClient, type ClientAnswer } from '../support/keep-alive-client.ts';
import { writePlugin } from '../support/plugin-folder.ts';
import { rulesPath, targetsPath } from '../support/replication-bodies.ts';
import {
  ADMIN,
  logIn,
  REPLICATION_PLUGIN,
  startServer,
  type ServerProcess,
} from '../support/server-process.ts';
import { ACTORS, ADMINISTRATOR, type Actor, type ModelRequest } from './configuration-model.ts';

/** A connection of its own, so that its requests are answered one after the other. */
export interface Connection {
  /** Rejects where there is no complete answer. */
  send(bucketName: string, request: ModelRequest): Promise<ClientAnswer>;
  close(): void;
}

export class ServerLives {
  readonly dataDirectory: string;
  /** How many processes have been started. */
  started = 0;
  /** In turn: every second process never tells the plugin that a bucket is gone, as a crash may. */
  readonly #manifests: readonly [string, string];
  readonly #tokens = new Map<Actor, string>();
  #server: ServerProcess | undefined;

  constructor(directory: string) {
    this.dataDirectory = join(directory, 'data');
    this.#manifests = [
      REPLICATION_PLUGIN,
      writePlugin(join(directory, 'deaf-plugin'), { withoutHooks: ['bucketDeleted'] }),
    ];
  }

  async start(): Promise<void> {
    this.#server = await startServer({
      dataDirectory: this.dataDirectory,
      plugin: this.started % 2 === 0 ? this.#manifests[0] : this.#manifests[1],
      environment: { ALLOW_ACCOUNT_CREATION: 'true' },
    });
    this.started += 1;
  }

  /** Makes the accounts of all actors and logs them in; the tokens stay good over restarts. */
  async makeAccounts(): Promise<void> {
    for (const actor of ACTORS) {
      const isNew = actor !== ADMINISTRATOR;
      const user = isNew ? { username: actor, password: `password of ${actor}` } : ADMIN;
      if (isNew) await this.#makeAccount(user);
      this.#tokens.set(actor, await logIn(this.#running.url, user));
    }
  }

  connect(): Connection {
    const client = new KeepAliveClient(this.#running.url);
    return {
      send: (bucketName, request) => client.send(this.#describe(bucketName, request)),
      close: () => client.close(),
    };
  }

  async kill(): Promise<void> {
    await this.#running.kill();
  }

  /** Ends the last process as an operator would, and returns its exit status and log. */
  async stop(): Promise<{ code: number | null; log: string }> {
    const { code } = await this.#running.stop();
    return { code, log: this.#running.stderr() };
  }

  get #running(): ServerProcess {
    if (this.#server === undefined) throw new Error('Start the server first.');
    return this.#server;
  }

  async #makeAccount(user: { username: string; password: string }): Promise<void> {
    const response = await fetch(`${this.#running.url}/api/v1/users`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ name: user.username, ...user }),
    });
    if (response.status !== 201) throw new Error(`The account got ${response.status}.`);
  }

  #describe(name: string, request: ModelRequest): Parameters<KeepAliveClient['send']>[0] {
    const { method, path, body, ifMatch = null } = describeRequest(name, request);
    return {
      method,
      path,
      headers: {
        authorization: `Bearer ${this.#tokens.get(request.actor)}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(ifMatch === null ? {} : { 'if-match': ifMatch }),
      },
      ...(body === undefined ? {} : { body: Buffer.from(JSON.stringify(body)) }),
    };
  }
}

interface HttpRequest {
  readonly method: string;
  readonly path: string;
  readonly body?: object;
  readonly ifMatch?: string | null;
}

function describeRequest(name: string, request: ModelRequest): HttpRequest {
  const bucket = `/api/v1/buckets/${name}`;
  switch (request.kind) {
    case 'getTargets':
      return { method: 'GET', path: targetsPath(name) };
    case 'getRules':
      return { method: 'GET', path: rulesPath(name) };
    case 'getVersioning':
      return { method: 'GET', path: `${bucket}/versioning` };
    case 'deleteBucket':
      return { method: 'DELETE', path: bucket };
    case 'setVersioning':
      return { method: 'PUT', path: `${bucket}/versioning`, body: { status: request.status } };
    case 'createBucket': {
      const body = { name, versioningEnabled: request.versioned };
      return { method: 'POST', path: '/api/v1/buckets', body };
    }
    case 'putTargets': {
      const { list, ifMatch } = request;
      return { method: 'PUT', path: targetsPath(name), body: { targets: list }, ifMatch };
    }
    case 'putRules': {
      const { list, ifMatch } = request;
      return { method: 'PUT', path: rulesPath(name), body: { rules: list }, ifMatch };
    }
  }
}
