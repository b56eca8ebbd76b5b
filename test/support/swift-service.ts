/**
 * The S3 service of other makers that suites are given by the environment, in the words in which
 * `scripts/suites/swift.sh start` prints it.
 */
import type { AwsAccount } from './aws-cli.ts';

export interface GivenService {
  readonly account: AwsAccount;
  /** A valid access key, of the same secret, that may do nothing. */
  readonly deniedAccessKeyId: string;
}

/** Throws with what to install where there is none: a suite that cannot run has failed. */
export function requireGivenService(): GivenService {
  const { ENDPOINT, ACCESS_KEY, SECRET_KEY, REGION, DENIED_ACCESS_KEY } = process.env;
  if (!ENDPOINT || !ACCESS_KEY || !SECRET_KEY || !REGION || !DENIED_ACCESS_KEY) {
    throw new Error(
      'ENDPOINT, ACCESS_KEY, SECRET_KEY, REGION and DENIED_ACCESS_KEY must name an S3 service: run ' +
        'scripts/suites/swift.sh start, which needs python3-swift and memcached ' +
        '(apt-get install python3-swift memcached).',
    );
  }
  const account = {
    url: ENDPOINT,
    region: REGION,
    accessKeyId: ACCESS_KEY,
    secretAccessKey: SECRET_KEY,
  };
  return { account, deniedAccessKeyId: DENIED_ACCESS_KEY };
}
