/** Debian's AWS CLI (package awscli) against one server, with an environment of its own. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';

const AWS = '/usr/bin/aws';
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

export interface AwsAccount {
  readonly url: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** Throws with what to install where the program is missing: a suite that cannot run has failed. */
export function requireAwsCli(): void {
  if (!existsSync(AWS)) throw new Error(`${AWS} is missing: apt-get install awscli`);
}

/** Runs `aws <words>` and returns its standard output; rejects with its standard error. */
export async function aws(account: AwsAccount, ...words: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(
    AWS,
    ['--endpoint-url', account.url, '--region', account.region, '--output', 'json', ...words],
    {
      maxBuffer: OUTPUT_BYTES_MAX,
      env: {
        PATH: '/usr/bin:/bin',
        HOME: '/nonexistent',
        AWS_ACCESS_KEY_ID: account.accessKeyId,
        AWS_SECRET_ACCESS_KEY: account.secretAccessKey,
        AWS_EC2_METADATA_DISABLED: 'true',
        AWS_MAX_ATTEMPTS: '1',
      },
    },
  );
  return stdout;
}

/** The standard error of a call that must fail. */
export async function awsError(account: AwsAccount, ...words: string[]): Promise<string> {
  try {
    await aws(account, ...words);
  } catch (error) {
    return (error as { stderr?: string }).stderr ?? String(error);
  }
  throw new Error(`aws ${words.join(' ')} was expected to fail.`);
}
