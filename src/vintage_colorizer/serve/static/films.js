// @ts-check
// Films: each is sent once, looked into at its desk, and colored by jobs on the server. The list is asked of the server,
// so a reload, another tab or a new start of the server loses nothing.

import { ask } from "./api.js";
import { find } from "./dom.js";
import { isOnItsWay } from "./job.js";
import { calm, complain, isAbort, say, Told } from "./messages.js";
import * as notify from "./notify.js";
import { ReelCard } from "./reel.js";
import { announce, sendRest } from "./upload.js";
import { t } from "./words.js";

/** @import { Choices, Health, Job, Reel, Settings } from "./api.js" */
/** @import { Still } from "./desk.js" */

const EVERY = 1000; // milliseconds between questions while something is on its way
const SELDOM = 15_000; // else: another tab may have sent a film

let megabytes = 0; // of the largest film the server takes
/** @type {Choices} */
let known;
/** @type {Settings} */
let settings;
/** @type {(still: Blob, of: Still) => void} */
let correct;
/** @type {number | undefined} */
let asking;
/** @type {Map<string, ReelCard>} */
const cards = new Map(); // by the id of the film
/** @type {Map<string, AbortController>} */
const uploads = new Map(); // those of this tab, by the id of the film

/**
 * @param {Choices} choices
 * @param {Settings} options
 * @param {Health} health
 * @param {(still: Blob, of: Still) => void} hear takes a still that is to be corrected
 */
export function start(choices, options, health, hear) {
  [known, settings, correct] = [choices, options, hear];
  megabytes = health.limits.film_megabytes;
  notify.listen();
  refresh();
}

/**
 * Send films, one after the other.
 * @param {File[]} files
 */
export async function add(files) {
  for (const file of files) {
    await attempt(() => upload(file), upload, file.name);
    refresh();
  }
}

/**
 * Send a film, or the rest of one that was sent in part.
 * @param {File} file
 */
async function upload(file) {
  if (file.size > megabytes * 1e6) throw new Told(t("too_large", { megabytes }));
  if (!file.size) throw new Told(t("empty_film"));
  /** @type {Reel[]} */
  const begun = await (await ask("api/films")).json();
  const broken = begun.filter(({ id, size, received }) => received < size && !uploads.has(id));
  const reel = broken.find(({ name, size }) => name === file.name && size === file.size) ?? (await announce(file));
  const card = cardOf(reel);
  const stop = new AbortController();
  card.sending = true;
  uploads.set(reel.id, stop);
  addEventListener("beforeunload", warn);
  say(t("sending", { name: file.name }));
  try {
    const sent = (/** @type {number} */ share) => card.tell(t("sending_share", { percent: Math.floor(100 * share) }), share);
    sent(reel.received / reel.size);
    await sendRest(file, reel, { signal: stop.signal, sent });
    say(t("film_is_here", { name: file.name }));
  } finally {
    card.sending = false;
    uploads.delete(reel.id);
    if (!uploads.size) removeEventListener("beforeunload", warn);
  }
}

/**
 * A film that is being sent has to be chosen again when the page is left; the browser asks first.
 * @param {Event} event
 */
const warn = (event) => event.preventDefault();

/** Ask for all films and jobs, show them, and ask again. */
async function refresh() {
  clearTimeout(asking);
  try {
    const [reels, jobs] = await Promise.all(["api/films", "api/jobs"].map(async (path) => (await ask(path)).json()));
    calm(refresh);
    show(reels, jobs);
    asking = setTimeout(refresh, jobs.some(isOnItsWay) ? EVERY : SELDOM);
  } catch (error) {
    complain(error, refresh);
    asking = setTimeout(refresh, 10 * EVERY);
  }
}

/**
 * @param {Reel[]} reels
 * @param {Job[]} jobs
 */
function show(reels, jobs) {
  for (const [id, card] of cards) {
    if (reels.some((reel) => reel.id === id)) continue;
    takeAway(card);
    cards.delete(id);
  }
  for (const reel of reels) {
    const card = cardOf(reel);
    card.show(reel, known, settings);
    card.showJobs(jobs.filter((job) => job.film === reel.id));
  }
  find("#films .drop").classList.toggle("small", cards.size > 0);
}

/** @param {Reel} reel */
function cardOf(reel) {
  const card = cards.get(reel.id) ?? new ReelCard(reel, { refresh, remove, correct, attempt });
  if (!cards.has(reel.id)) find("#reels").prepend(card.item);
  cards.set(reel.id, card);
  return card;
}

/**
 * Remove a film of the list; whoever had the focus there finds it at the place for the next film.
 * @param {ReelCard} card
 */
function takeAway({ item }) {
  const focused = item.contains(document.activeElement);
  item.remove();
  if (focused) find("#film-file").focus();
}

/** @param {Reel} reel */
async function remove(reel) {
  uploads.get(reel.id)?.abort();
  await attempt(async () => {
    await ask(`api/films/${reel.id}`, { method: "DELETE" });
  }, reel);
  refresh();
}

/**
 * @param {() => Promise<void>} work
 * @param {object} about
 * @param {string} name
 */
async function attempt(work, about, name = "") {
  calm(about);
  try {
    await work();
  } catch (error) {
    if (!isAbort(error)) complain(name && error instanceof Told ? new Told(`${name}: ${error.message}`) : error, about);
  }
}
