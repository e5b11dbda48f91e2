// node zip.mjs JOB.json: make zips as the page does. JOB has `files` ([name, text] each) for a whole zip, or `entries`
// for the records alone: their headers, and the directory from `offset` on. Writes into `folder`; prints the names used.

import { readFileSync, writeFileSync } from "node:fs";
import { directory, distinct, localHeader, zip } from "../../src/vintage_colorizer/serve/static/zip.js";

const job = JSON.parse(readFileSync(process.argv[2], "utf8"));

async function write(name, blob) {
  writeFileSync(`${job.folder}/${name}`, Buffer.from(await blob.arrayBuffer()));
}

if (job.files) {
  const names = distinct(job.files.map(([name]) => name));
  await write("files.zip", await zip(job.files.map(([, text], i) => ({ name: names[i], blob: new Blob([text]) }))));
  console.log(JSON.stringify(names));
} else {
  for (const entry of job.entries) entry.made = new Date(2024, 1, 29, 13, 37, 42);
  for (const [i, entry] of job.entries.entries()) await write(`header-${i}`, localHeader(entry));
  await write("directory", directory(job.entries, job.offset));
  console.log("[]");
}
