/** What targets answer, and what must come of it: tables by theme, beside each other on one server. */
import { deniedHelp } from './denied-help.ts';
import { overload } from './overload.ts';
import { redirectsAndRegions } from './redirects-and-regions.ts';
import { refusedEverything } from './refused-everything.ts';
import { refusedObjects } from './refused-objects.ts';
import { successWithoutProof } from './success-without-proof.ts';
import { runThemes } from './wild-case.ts';

runThemes({
  'Success without proof': successWithoutProof,
  'Refused objects': refusedObjects,
  'Targets that refuse everything': refusedEverything,
  'What helps is refused': deniedHelp,
  'Redirects and regions': redirectsAndRegions,
  Overload: overload,
});
