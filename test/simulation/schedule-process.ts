/**
 * Runs schedules in a process without node's test runner, whose hooks are called for every promise and
 * cost more than a schedule by itself: answers each seed that it is sent.
 */
import { runSchedule } from './schedule.ts';

process.on('message', (seed: number) => void runSchedule(seed).then((result) => answer(result)));
process.on('disconnect', () => process.exit());

function answer(result: object): void {
  process.send?.(result);
}
