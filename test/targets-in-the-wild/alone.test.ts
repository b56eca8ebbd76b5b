/** Tables that need servers of their own, in which nobody else writes, or time at another pace. */
import { failedForGood } from './failed-for-good.ts';
import { quietEndings } from './quiet-endings.ts';
import { whatPeopleSee } from './what-people-see.ts';
import { runThemes } from './wild-case.ts';

runThemes(
  {
    'Quiet endings': quietEndings,
  },
  { isAlone: true },
);
runThemes(
  {
    'Failed for good': failedForGood,
  },
  { factor: 1_000, isAlone: true },
);
runThemes(
  {
    'What people see': whatPeopleSee,
  },
  { factor: 10 },
);
