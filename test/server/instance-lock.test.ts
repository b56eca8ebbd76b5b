import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { takeDirectory } from '../../src/server/instance-lock.ts';
import { temporaryServerDatabase } from '../support/server-database.ts';

describe('the lock on a data directory', () => {
  it('may be taken again by the same process', async (t) => {
    const database = await temporaryServerDatabase(t);
    await takeDirectory(database);
    await takeDirectory(database);
  });

  it('passes on from a process that ended', async (t) => {
    const database = await temporaryServerDatabase(t);
    const child = spawn(process.execPath, ['-e', '']);
    await once(child, 'close');
    await takeDirectory(database, { pid: child.pid!, startedAt: 'then' });
    await takeDirectory(database);
  });

  it('passes on from a process whose pid belongs to another one now', async (t) => {
    const database = await temporaryServerDatabase(t);
    await takeDirectory(database, { pid: process.ppid, startedAt: 'before the last boot' });
    await takeDirectory(database);
  });
});
