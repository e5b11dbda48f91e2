// @ts-check
// Films: an upload becomes a job on the server. The list of jobs is asked of it, so a reload loses nothing.

import { ask, query, send } from "./api.js";
import { capitalized, find } from "./dom.js";
import { calm, complain, isAbort, say, Told } from "./messages.js";

/** @import { Choices, Health, Job } from "./api.js" */
/**
 * A row of the list of films.
 * @typedef {{item: HTMLLIElement, text: HTMLElement, state: string, offer: (what: string) => void,
 *   show: (words: string, done: number, total: number) => void}} Entry
 */

const PREVIEW_SECONDS = 10;
/** @type {Record<string, string>} */
const STAGES = { scanning: "Looking through it", coloring: "Coloring", joining: "Putting it together" };
const EVERY = 1000; // milliseconds between questions while a film is on its way

let megabytes = 0; // of the largest film the server takes
/** @type {number | undefined} */
let asking;
/** @type {Map<string, Entry>} */
const entries = new Map(); // by the id of the job

/**
 * @param {Choices} known
 * @param {Health} health
 */
export function start(known, health) {
  megabytes = health.limits.film_megabytes;
  const looks = [...new Set(known.looks.map((row) => row.look))];
  for (const look of looks) find("#film-look").append(new Option(capitalized(look), look));
  find("#film-look").value = known.film_look;
  find("#film-preview-label").textContent = `Only ${PREVIEW_SECONDS} seconds, side by side`;
  refresh();
}

/**
 * Upload films, one after the other.
 * @param {File[]} files
 */
export async function add(files) {
  for (const file of files) {
    calm(upload);
    try {
      await upload(file);
    } catch (error) {
      if (!isAbort(error)) complain(error instanceof Told ? new Told(`${file.name}: ${error.message}`) : error, upload);
    }
  }
}

/** @param {File} file */
async function upload(file) {
  if (file.size > megabytes * 1e6) throw new Told(`It is over the server's limit of ${megabytes} MB.`);
  const preview = find("#film-preview").checked ? PREVIEW_SECONDS : null;
  const stop = new AbortController();
  const entry = makeEntry(file.name, () => stop.abort());
  say(`Sending ${file.name}`);
  find("#jobs").prepend(entry.item);
  addEventListener("beforeunload", warn);
  try {
    const from = find("#film-from").value.trim();
    const path = `api/film?${query({ name: file.name, look: find("#film-look").value, preview, from })}`;
    const sent = (/** @type {number} */ share) => entry.show(`Sending, ${percent(share, 1)}`, share, 1);
    await send(path, file, { signal: stop.signal, sent });
  } finally {
    removeEventListener("beforeunload", warn);
    await refresh();
    takeAway(entry); // its job stands in the list now
  }
}

/**
 * A film that is being sent is lost when the page is left; the browser asks first.
 * @param {Event} event
 */
const warn = (event) => event.preventDefault();

/** Ask for all jobs, show them, and ask again while one is on its way. */
async function refresh() {
  clearTimeout(asking);
  try {
    /** @type {Job[]} */
    const jobs = await (await ask("api/jobs")).json();
    calm(refresh);
    show(jobs);
    if (jobs.some((job) => job.state === "waiting" || job.state === "coloring")) asking = setTimeout(refresh, EVERY);
  } catch (error) {
    complain(error, refresh);
    asking = setTimeout(refresh, 10 * EVERY);
  }
}

/** @param {Job[]} jobs */
function show(jobs) {
  for (const [id, entry] of entries) {
    if (jobs.some((job) => job.id === id)) continue;
    takeAway(entry);
    entries.delete(id);
  }
  for (const job of jobs) {
    let entry = entries.get(job.id);
    if (!entry) {
      entry = makeEntry(job.name, () => remove(job));
      entries.set(job.id, entry);
      find("#jobs").prepend(entry.item);
    }
    showJob(entry, job);
  }
}

/**
 * Remove an entry of the list; whoever had the focus there finds it at the place for the next film.
 * @param {Entry} entry
 */
function takeAway({ item }) {
  const focused = item.contains(document.activeElement);
  item.remove();
  if (focused) find("#film-file").focus();
}

/**
 * @param {Entry} entry
 * @param {Job} job
 */
function showJob(entry, job) {
  const far = job.frames ? `, ${percent(job.frames_done, job.frames)}` : "";
  const left = job.seconds_left === null ? "" : `, ${duration(job.seconds_left)} left`;
  const texts = {
    waiting: "Waiting for its turn",
    coloring: job.stage ? STAGES[job.stage] + far + left : "Beginning",
    done: `${["Done", ...job.notes].join(". ")  }.`,
    failed: job.message,
  };
  const running = job.state === "waiting" || job.state === "coloring";
  entry.show(texts[job.state], job.frames_done, running ? job.frames ?? 0 : -1);
  if (entry.state !== job.state) say(`${job.name}: ${texts[job.state]}`);
  entry.state = job.state;
  entry.item.classList.toggle("failed", job.state === "failed");
  if (!running) entry.offer("Remove");
  if (job.state === "done" && !entry.item.querySelector("video")) entry.text.after(player(job), link(job));
}

/** @param {Job} job */
function player(job) {
  const video = Object.assign(document.createElement("video"), { controls: true, preload: "metadata", src: job.result });
  video.setAttribute("aria-label", `${job.name}, colored`);
  return video;
}

/** @param {Job} job */
function link(job) {
  const made = Object.assign(document.createElement("a"), { href: job.result, download: job.result_name, className: "primary" });
  made.textContent = `Save ${job.result_name}`;
  return made;
}

/** @param {Job} job */
async function remove(job) {
  try {
    await ask(`api/jobs/${job.id}`, { method: "DELETE" });
  } catch (error) {
    complain(error);
  }
  refresh();
}

/**
 * An entry of the list: a name, a text, a bar, and a button that stops or removes.
 * @param {string} name
 * @param {() => void} stop
 * @returns {Entry}
 */
function makeEntry(name, stop) {
  const item = document.createElement("li");
  const title = Object.assign(document.createElement("h2"), { textContent: name });
  const text = document.createElement("p");
  const bar = document.createElement("progress");
  bar.setAttribute("aria-label", `Progress of ${name}`);
  const button = Object.assign(document.createElement("button"), { type: "button", className: "quiet" });
  const offer = (/** @type {string} */ what) => {
    button.textContent = what;
    button.setAttribute("aria-label", `${what} ${name}`);
  };
  offer("Stop");
  button.addEventListener("click", stop);
  item.append(title, text, bar, button);
  return { item, text, state: "", offer, show: (words, done, total) => showProgress(text, bar, words, done, total) };
}

/**
 * @param {HTMLElement} text
 * @param {HTMLProgressElement} bar
 * @param {string} words
 * @param {number} done
 * @param {number} total 0 if it is not known yet, below 0 if it is over and needs no bar
 */
function showProgress(text, bar, words, done, total) {
  if (text.textContent !== words) text.textContent = words;
  bar.hidden = total < 0;
  if (total > 0) {
    bar.max = total;
    bar.value = done;
  } else bar.removeAttribute("value");
}

/**
 * @param {number} done
 * @param {number} total
 */
const percent = (done, total) => `${Math.floor((100 * done) / total)} %`;

/** @param {number} seconds */
function duration(seconds) {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
