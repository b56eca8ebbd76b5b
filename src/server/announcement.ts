/**
 * What the server prints for people once it serves: where it is, who may log in, and commands that
 * can be pasted into bash as they are.
 */

export interface Announcement {
  readonly name: string;
  readonly version: string;
  /** Base URL. */
  readonly url: string;
  readonly adminUsername: string;
  /** Shown where it was made at this start; null otherwise. */
  readonly generatedPassword: string | null;
}

const EXAMPLE_BUCKET = 'photos';
/** The example of the specification of "Set Replication Targets". */
const EXAMPLE_TARGETS = {
  targets: [
    {
      id: '00000000-0000-0000-0000-000000000000',
      endpoint: 'https://remote.example.com',
      targetBucket: 'backup-bucket',
      accessKeyId: 'AKIA...',
      secretAccessKey: '...',
      region: 'us-east-1',
      enabled: true,
    },
  ],
};

/** Ends with a line break. */
export function announce(announcement: Announcement): string {
  const { name, version, url, adminUsername, generatedPassword } = announcement;
  const password =
    generatedPassword === null
      ? 'as set before (ADMIN_PASSWORD sets another one)'
      : `${generatedPassword}   (shown only this once)`;
  return [
    `${name} ${version} is listening on ${url}`,
    '',
    `  Administrator: ${adminUsername}`,
    `  Password:      ${password}`,
    '',
    '# Log in, create a bucket, set a target, get it back: paste into bash.',
    ...exampleCommands(announcement),
    '',
    'Stop it with Ctrl+C.',
    '',
  ].join('\n');
}

function exampleCommands(announcement: Announcement): string[] {
  const { url } = announcement;
  const json = `-H 'Content-Type: application/json'`;
  const token = `-H "Authorization: Bearer $TOKEN"`;
  const targetsUrl = `${url}/api/v1/buckets/${EXAMPLE_BUCKET}/replication/targets`;
  const bucket = { name: EXAMPLE_BUCKET, versioningEnabled: true };
  return [
    ...loginCommands(announcement, json),
    `curl -sS ${url}/api/v1/buckets ${token} ${json} -d ${quote(JSON.stringify(bucket))}; echo`,
    `curl -sS -X PUT ${targetsUrl} ${token} ${json} -d ${quote(JSON.stringify(EXAMPLE_TARGETS, null, 2))}; echo`,
    `curl -sS ${targetsUrl} ${token}; echo`,
  ];
}

/** A password that the operator chose is not printed; the commands take it from the variable. */
function loginCommands(announcement: Announcement, json: string): string[] {
  const { url, adminUsername, generatedPassword } = announcement;
  const readToken = `sed -n 's/.*"token":"\\([^"]*\\)".*/\\1/p'`;
  if (generatedPassword !== null) {
    const login = JSON.stringify({ username: adminUsername, password: generatedPassword });
    return [
      `TOKEN=$(curl -sS ${url}/api/v1/users/login ${json} -d ${quote(login)} | ${readToken})`,
    ];
  }
  const toJson = 'JSON.stringify({ username: process.argv[1], password: process.argv[2] })';
  return [
    `ADMIN_PASSWORD=\${ADMIN_PASSWORD:-${quote('put the password here')}}`,
    `LOGIN=$(node -p ${quote(toJson)} -- ${quote(adminUsername)} "$ADMIN_PASSWORD")`,
    `TOKEN=$(curl -sS ${url}/api/v1/users/login ${json} -d "$LOGIN" | ${readToken})`,
  ];
}

/** One word for a POSIX shell, whatever the text. */
function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
