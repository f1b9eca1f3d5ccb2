// Puts the page just built where the API serves it from, in the place of the one before.
import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const built = fileURLToPath(new URL('dist', import.meta.url));
const place = fileURLToPath(new URL('../../app/static/explorer', import.meta.url));
mkdirSync(dirname(place), { recursive: true });
rmSync(place, { recursive: true, force: true });
renameSync(built, place);
