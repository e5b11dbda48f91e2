// node merge.mjs JOB.json: merge a preview as the page does. JOB names the answer of the server, the picture (RGBA),
// the settings, and where the merged pictures (RGBA, one after the other) go. Prints the page's constants as JSON.

import { readFileSync, writeFileSync } from "node:fs";
import * as merge from "../../src/vintage_colorizer/serve/static/merge.js";

const job = JSON.parse(readFileSync(process.argv[2], "utf8"));
const picture = { ...job.size, data: new Uint8ClampedArray(readFileSync(job.picture)) };
const preview = new merge.Preview(job.answer, picture);
writeFileSync(job.merged, Buffer.concat(job.settings.map((settings) => Buffer.from(preview.colored(settings)))));
const { LUMA_WEIGHTS, U_SCALE, V_SCALE, MAP_SCALE } = merge;
const matrices = job.matrices.map(([size, target]) => [...merge.enlargeMatrix(size, target)]);
console.log(JSON.stringify({ LUMA_WEIGHTS, U_SCALE, V_SCALE, MAP_SCALE, matrices }));
