/**
 * A data directory with the server processes that live on it, the secrets that they are given, and
 * everything that they say: what {@link SecretSite.findPlaces} looks through.
 */
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  REPLICATION_PLUGIN,
  runCommand,
  startServer,
  type FinishedProcess,
  type ServerProcess,
} from '../support/server-process.ts';
import { KnownSecrets } from './known-secrets.ts';
import { RecordedServer } from './recorded-server.ts';

/** Names the sealing keys in the environment of a process; without it they are in a file. */
export const KEYS_VARIABLE = 'TEST_SEALING_KEYS';

export type Environment = Readonly<Record<string, string | undefined>>;

export class SecretSite {
  readonly secrets = new KnownSecrets();
  readonly directory: string;
  readonly data: string;
  readonly said: { place: string; text: string }[] = [];
  readonly server = new RecordedServer(() => this.url);
  readonly #options: string;
  #process: ServerProcess | undefined;
  #lives = 0;

  constructor(directory: string) {
    this.directory = directory;
    this.data = join(directory, 'data');

    this.#options = join(directory, 'options.json');
    writeFileSync(
      this.#options,
      JSON.stringify({ sealing: { environmentVariable: KEYS_VARIABLE } }),
    );
  }

  get url(): string {
    return this.#process!.url;
  }

  get log(): string {
    return this.#process!.stderr();
  }

  get stdout(): string {
    return this.#process!.stdout();
  }

  async start(environment: Environment): Promise<void> {
    this.#process = await startServer({
      dataDirectory: this.data,
      plugin: REPLICATION_PLUGIN,
      args: this.#args(environment),
      environment: { ALLOW_ACCOUNT_CREATION: 'true', ADMIN_PASSWORD: undefined, ...environment },
    });
    this.#lives += 1;
  }

  async end(how: 'stop' | 'kill'): Promise<void> {
    const ended = this.#process!;
    await ended[how]();
    this.said.push({ place: `life ${this.#lives}, stdout`, text: ended.stdout() });
    this.said.push({ place: `life ${this.#lives}, log`, text: ended.stderr() });
  }

  async run(args: readonly string[], environment: Environment = {}): Promise<FinishedProcess> {
    const done = await runCommand(args, environment);
    this.said.push({ place: `${args[0]}, output`, text: done.stdout + done.stderr });
    return done;
  }

  /** A start that is expected to fail. */
  async failToStart(environment: Environment): Promise<FinishedProcess> {
    const where = ['--port', '0', '--data', this.data, '--plugin', REPLICATION_PLUGIN];
    return await this.run(['serve', ...where, ...this.#args(environment)], environment);
  }

  /** Logs in; the token's signature is a secret, which its answer alone may show. */
  async logIn(user: { username: string; password: string }): Promise<string> {
    const name = `login of ${user.username} in life ${this.#lives}`;
    const path = '/api/v1/users/login';
    const { json } = await this.server.send({ name, method: 'POST', path, body: user });
    const token = String(json['token']);
    this.secrets.know(`token, ${name}`, token.split('.')[2] ?? '');
    return token;
  }

  /** By name of the secret, where any piece of it is in any form: files, outputs and answers. */
  findPlaces(): Readonly<Record<string, readonly string[]>> {
    const places = new Map<string, Set<string>>();
    const scan = (place: string, content: string | Uint8Array): void => {
      for (const { secret } of this.secrets.scanner.scan(place, content)) {
        places.set(secret, (places.get(secret) ?? new Set()).add(place));
      }
    };
    for (const path of [
      ...filesBelow(this.directory, 'data'),
      ...filesBelow(this.directory, 'backup'),
    ]) {
      scan(path, readFileSync(join(this.directory, path)));
    }
    for (const { place, text } of this.said) scan(place, text);
    for (const { name, text } of this.server.answers) scan(`answer: ${name}`, text);
    return Object.fromEntries([...places].map(([name, set]) => [name, [...set]]));
  }

  #args(environment: Environment): string[] {
    return environment[KEYS_VARIABLE] === undefined ? [] : ['--plugin-options', this.#options];
  }
}

function filesBelow(root: string, folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(join(root, path)).isFile());
}
