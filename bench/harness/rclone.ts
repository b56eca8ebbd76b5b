/**
 * `rclone copy` from one S3 service to another, as somebody would run it who wants it fast and knows
 * that nothing is there yet: it does not look at the target before it copies (which it would do once
 * an object), and it checks afterwards what arrived, as the engine does.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CREDENTIALS, REGION, TARGET_BUCKET } from '../subjects/signed-requests.ts';
import type { BenchContext } from './bench.ts';
import type { Sink } from './delivery.ts';
import type { Side } from './pairs.ts';

/** Where Debian's package puts it. */
const RCLONE = '/usr/bin/rclone';
const FLAGS = [
  ...['--transfers', '16', '--checkers', '16'],
  ...['--no-check-dest', '--s3-no-check-bucket'],
  ...['--s3-upload-cutoff', '8Mi', '--s3-chunk-size', '8Mi', '--s3-upload-concurrency', '4'],
];

export function isRcloneInstalled(): boolean {
  return existsSync(RCLONE);
}

/** Of `Source` and of the sink, the same bucket; the clock runs from the first request to the sink. */
export function rcloneSide(
  context: BenchContext,
  source: string,
  sink: Sink,
  objects: number,
): Side {
  const home = context.directory();
  const environment = {
    HOME: home,
    RCLONE_CONFIG: join(home, 'none.conf'),
    RCLONE_RETRIES: '1',
    ...remote('SOURCE', source),
    ...remote('SINK', sink.endpoint),
  };
  return {
    name: 'rclone copy',
    async sample() {
      const arrived = sink.expect(objects);
      const rclone = context.tool({
        command: RCLONE,
        args: ['copy', `source:${TARGET_BUCKET}`, `sink:${TARGET_BUCKET}`, ...FLAGS],
        environment,
        logFile: join(home, 'rclone.log'),
      });
      const { cpuMicros, peakBytes } = await rclone.finished();
      const { operations, elapsedMs } = await arrived;
      return {
        value: (operations / elapsedMs) * 1000,
        cpuMicrosPerOperation: cpuMicros === null ? null : cpuMicros / operations,
        peakBytes,
      };
    },
  };
}

/** rclone reads its remotes from the environment too. */
function remote(name: string, endpoint: string): Record<string, string> {
  const prefix = `RCLONE_CONFIG_${name}`;
  return {
    [`${prefix}_TYPE`]: 's3',
    [`${prefix}_PROVIDER`]: 'Other',
    [`${prefix}_ENDPOINT`]: endpoint,
    [`${prefix}_REGION`]: REGION,
    [`${prefix}_ACCESS_KEY_ID`]: CREDENTIALS.accessKeyId,
    [`${prefix}_SECRET_ACCESS_KEY`]: CREDENTIALS.secretAccessKey,
  };
}
