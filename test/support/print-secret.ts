/** A process that prints the secret of a file, made where it is missing. */
import { readOrCreateSecret } from '../../src/sealing/secret-file.ts';

const [, , path = ''] = process.argv;
console.log(readOrCreateSecret(path));
