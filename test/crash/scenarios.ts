/**
 * Where processes are killed: for each change, the steps at which the first process that carries it
 * out is killed, and where the next one is that goes on with it.
 */
import type { StepName } from '../support/steps.ts';
import type { ChangeName } from './changes.ts';

/** The step of each process in turn. */
type Steps = readonly StepName[];

export interface Scenario {
  readonly title: string;
  readonly bucket: string;
  readonly change: ChangeName;
  readonly steps: Steps;
  /** Whether the host has committed the change at the first step. */
  readonly happened: boolean;
  /** Whether the client has its answer then. */
  readonly acknowledged: boolean;
  /** Uploads at the replica, without a part, that nobody can know of. */
  readonly unknownUploads: number;
  /** Whether a minute must pass before the second process comes to its step. */
  readonly isLate: boolean;
}

type Rows = readonly (readonly [ChangeName, ...(readonly (StepName | Steps)[])])[];

/** The client waits, and the host has not committed. */
const announced: Rows = [
  ['put', 'announce:before', 'announce:after'],
  ['overwrite', 'announce:before', 'announce:after'],
  ['delete', 'announce:before', 'announce:after'],
  ['put that is refused', 'announce:after', 'abandon:before', 'abandon:after'],
];

/** The client waits, and the host has committed. */
const committed: Rows = [
  ['put', 'commit:before', 'commit:after', 'committed:before', 'committed:after'],
  ['put', ['commit:before', 'claim:after'], ['commit:before', 'putObject:after']],
  ['put', ['commit:before', 'settleClaim:before'], ['commit:before', 'settleClaim:after']],
  ['overwrite', 'commit:before', 'commit:after', 'committed:after'],
  ['delete', 'commit:before', 'commit:after', 'committed:after'],
  ['tags of an object', 'commit:before', 'commit:after'],
  ['large put', 'commit:before'],
  [
    'put under a synchronous rule',
    ...([
      'putObject:before',
      'putObject:after',
      'settleClaim:before',
      'settleClaim:after',
    ] as const),
  ],
];

const claimed = ['claim:before', 'claim:after'] as const;
const completed = ['settleClaim:before', 'settleClaim:after'] as const;
const sent = ['putObject:before', 'putObject:after'] as const;

/** The client has its answer. */
const delivered: Rows = [
  ['put', ...claimed, ...sent, ...completed],
  ['overwrite', ...claimed, ...sent, ...completed],
  ['delete', ...claimed, 'deleteObject:before', 'deleteObject:after', ...completed],
  ['tags of an object', ...sent, ...completed],
  ['put to a bucket that comes later', ...completed],
  ['three versions', 'claim:after', ...sent, ...completed],
  ['three versions', 'putObject:after#2', 'settleClaim:before#2', 'putObject:before#3'],
  ['three versions', ['putObject:after', 'settleClaim:before'], ['putObject:after', ...sent]],
  ['large put', 'claim:after', 'createMultipartUpload:before', 'storeUpload:after'],
  ['large put', 'uploadPart:before', 'uploadPart:after', 'uploadPart:before#2'],
  ['large put', 'uploadPart:after#2', 'completeMultipartUpload:before'],
  ['large put', 'completeMultipartUpload:after', ...completed],
];

/** What a kill leaves is killed again, while it is compared and sent once more. */
const deliveredTwice: Rows = [
  ['put', ['putObject:before', 'headObject:before'], ['putObject:before', 'headObject:after']],
  ['put', ['putObject:before', 'putObject:before'], ['putObject:before', 'putObject:after']],
  ['put', ['putObject:after', 'headObject:after'], ['putObject:after', 'settleClaim:before']],
  ['put', ['settleClaim:before', 'claim:before'], ['settleClaim:before', 'claim:after']],
  ['put', ['settleClaim:before', 'settleClaim:after']],
  ['delete', ['deleteObject:before', 'headObject:after']],
  ['delete', ['deleteObject:before', 'deleteObject:after']],
  ['delete', ['deleteObject:after', 'headObject:after']],
  ['delete', ['deleteObject:after', 'settleClaim:before']],
  [
    'large put',
    ['uploadPart:before', 'listParts:before'],
    ['uploadPart:before', 'listParts:after'],
  ],
  ['large put', ['uploadPart:before', 'uploadPart:before']],
  ['large put', ['uploadPart:before', 'uploadPart:after']],
  ['large put', ['uploadPart:before', 'completeMultipartUpload:after']],
  ['large put', ['completeMultipartUpload:after', 'headObject:after']],
  ['large put', ['completeMultipartUpload:after', 'abortMultipartUpload:before']],
  ['large put', ['completeMultipartUpload:after', 'abortMultipartUpload:after']],
  ['large put', ['completeMultipartUpload:after', 'storeUpload:after']],
  ['large put', ['completeMultipartUpload:after', 'settleClaim:before']],
  ['large put, removed on its way', 'uploadPart:after'],
  ['large put, removed on its way', ['uploadPart:after', 'abortMultipartUpload:before']],
  ['large put, removed on its way', ['uploadPart:after', 'abortMultipartUpload:after']],
  ['large put, removed on its way', ['uploadPart:after', 'settleClaim:before']],
];

/** The look for a late request, a minute after the second process found the object there, is killed. */
const lookedAfter: Rows = [
  ['put', ['putObject:after', 'claim:after#2'], ['putObject:after', 'headObject:after#2']],
  ['put', ['putObject:after', 'settleClaim:before#2'], ['putObject:after', 'settleClaim:after#2']],
  ['delete', ['deleteObject:after', 'headObject:after#2']],
];

/** Between the replica's answer and the storing of the upload's id there is nobody to know it. */
const unknown: Rows = [
  ['large put', 'createMultipartUpload:after', 'storeUpload:before'],
  ['large put', ['createMultipartUpload:after', 'storeUpload:before']],
];

export const scenarios: readonly Scenario[] = [
  ...scenariosOf(announced, { happened: false, acknowledged: false }),
  ...scenariosOf(committed, { happened: true, acknowledged: false }),
  ...[delivered, deliveredTwice, lookedAfter, unknown].flatMap((rows) =>
    scenariosOf(rows, { happened: true, acknowledged: true }),
  ),
].map((scenario, index) => ({ ...scenario, bucket: `case-${index}` }));

function scenariosOf(
  rows: Rows,
  state: Pick<Scenario, 'happened' | 'acknowledged'>,
): Omit<Scenario, 'bucket'>[] {
  return rows.flatMap(([change, ...list]) =>
    list.map((steps) => {
      const all = typeof steps === 'string' ? [steps] : steps;
      const title = `${change}: ${all.join(', then ')}`;
      const unknownUploads = rows === unknown ? all.length : 0;
      const isLate = rows === lookedAfter;
      return { title, change, steps: all, ...state, unknownUploads, isLate };
    }),
  );
}
