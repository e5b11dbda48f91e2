// @ts-check
// The photos: each with its own settings, shown as a preview that answers at once, saved at full quality.

import { query, send } from "./api.js";
import { decoded, draw, encoded, fileOf, pixelsOf } from "./canvas.js";
import * as certainty from "./certainty.js";
import { fill, listen, showLooksOf, showSettings } from "./controls.js";
import * as crop from "./crop.js";
import { button, find, on, steady } from "./dom.js";
import * as hints from "./hints.js";
import * as history from "./history.js";
import { Item } from "./item.js";
import * as loupe from "./loupe.js";
import { Preview } from "./merge.js";
import * as mending from "./mending.js";
import { calm, complain, isAbort, Told, wordsOf } from "./messages.js";
import { cropOf, partOf, turnedHints, turnedPart } from "./placed.js";
import * as presets from "./presets.js";
import { inTurn } from "./queue.js";
import * as reference from "./reference.js";
import { guide, save, saveAll } from "./saving.js";
import { compare } from "./sheet.js";
import * as shoebox from "./shoebox.js";
import { t } from "./words.js";

/** @import { Choices, Health, Settings } from "./api.js" */
/** @import { Still } from "./desk.js" */
/** @import { Chosen } from "./item.js" */

const LONGEST = 1280; // pixels of a photo on the page
const MOST_PREVIEWS = 10; // in memory
/** @type {Item[]} */
const items = [];
/** @type {any} the Item that is shown; null before there is one */
let current = null;
let megabytes = 0; // of the largest photo the server takes
let painting = false;
/** @type {Chosen} */
let fresh;

/**
 * @param {Choices} known
 * @param {Settings} settings
 * @param {Health} health
 */
export async function start(known, settings, health) {
  megabytes = health.limits.megabytes;
  fresh = fill(known, settings);
  listen(change, () => current.settings);
  hints.listen(() => current, change);
  reference.listen(change);
  certainty.listen(() => current);
  loupe.listen(() => current);
  crop.listen(() => current, change);
  mending.listen(() => current, change, paint);
  listenToButtons();
  const ready = (/** @type {Partial<Chosen>} */ { look, network }) => known.looks.some((row) => row.look === look && row.network === network);
  presets.listen(change, () => current.settings, ready);
  const kept = (await shoebox.kept()).filter((one) => ready(one.settings));
  const again = kept.map(({ key, file, settings: own }) => Object.assign(new Item(file, { ...fresh, ...own }), { number: key[1] }));
  if (again.length) take(again);
}

function listenToButtons() {
  find("#controls").addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    save(current);
  });
  steady(find("#split"));
  on("#split", "input", ({ target }) => {
    find("#view").style.setProperty("--split", `${target.value}%`);
    target.setAttribute("aria-valuetext", `${target.value} %`);
  });
  on("#reset", "click", () => change({ ...fresh, still: current.settings.still }));
  on("#spread", "click", () => {
    /** @type {Partial<Chosen>} */
    const settings = { ...current.settings };
    for (const own of /** @type {const} */ (["hints", "still", "rotate", "crop", "marks"])) delete settings[own]; // of one photo
    changeEach(meant(), settings, "spread");
  });
  on("#undo", "click", () => goBack(history.undo()));
  on("#redo", "click", () => goBack(history.redo()));
  on("#retry", "click", () => load(current));
  on("#remove", "click", () => remove([current]));
  on("#remove-all", "click", () => remove([...items]));
  on("#save-all", "click", () => saveAll(meant()));
  on("#turn-left", "click", () => turn(3));
  on("#turn-right", "click", () => turn(1));
  on("#guide", "click", () => guide(current));
  on("#compare", "click", () => compare(current, (factor) => change({ render_factor: factor })));
  on("#sheet-close", "click", () => find("#sheet").close());
  find("#gallery").addEventListener("keydown", stepThrough);
  document.addEventListener("keydown", undoByKey);
}

/** @param {KeyboardEvent} event */
function undoByKey(event) {
  const key = event.key.toLowerCase();
  if (!(event.ctrlKey || event.metaKey) || (key !== "z" && key !== "y") || find("#photos").hidden) return;
  event.preventDefault();
  goBack(key === "y" || event.shiftKey ? history.redo() : history.undo());
}

/** @param {KeyboardEvent} event */
function stepThrough(event) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const item = step && items[items.indexOf(current) + step];
  if (!item) return;
  event.preventDefault();
  show(item);
  item.entry.querySelector("button")?.focus();
}

// --- Which photo -------------------------------------------------------------------------------------------

/**
 * @param {File[]} files
 * @param {Still | null} still of which film they are a frame, if they are
 */
export function add(files, still = null) {
  calm(add);
  const large = files.filter((file) => file.size > megabytes * 1e6).map((file) => file.name);
  if (large.length) complain(new Told(t("photos_too_large", { names: large.join(", "), megabytes })), add);
  const settings = { ...(current?.settings ?? fresh), vividness: null, hints: [], rotate: 0, crop: null, marks: null, still };
  const added = files.filter((file) => file.size <= megabytes * 1e6).map((file) => new Item(file, settings));
  added.forEach(shoebox.keep);
  if (added.length) take(added);
}

/** @param {Item[]} added */
function take(added) {
  items.push(...added);
  added.forEach(makeEntry);
  find("#gallery").append(...added.map((item) => item.entry));
  find("#work").hidden = false;
  find("#drop").classList.add("small");
  show(added[0]);
  for (const item of added.slice(1)) load(item);
}

/** @param {Item} item */
function show(item) {
  current = item;
  item.shown = Date.now();
  drawGallery();
  showControls();
  paint();
  const begun = item.waiting !== null && item.sent > 0; // else it may wait for its turn, which comes first now
  if (!item.preview && !item.error && !begun) load(item);
  const gallery = find("#gallery");
  gallery.scrollLeft = item.entry.offsetLeft - (gallery.clientWidth - item.entry.clientWidth) / 2;
}

/** @param {Item[]} gone */
function remove(gone) {
  const at = items.indexOf(gone[0]);
  for (const item of gone) {
    item.waiting?.abort();
    calm(item);
    history.forget(item);
    shoebox.drop(item);
    items.splice(items.indexOf(item), 1);
    item.entry.remove();
  }
  showHistory();
  if (gone.includes(current)) current = items[Math.min(at, items.length - 1)] ?? null;
  find("#work").hidden = !current;
  find("#drop").classList.toggle("small", Boolean(current));
  if (current) show(current);
  find(items.length > 1 ? "#gallery [aria-current=true]" : "#files").focus();
}

function drawGallery() {
  find("#remove").hidden = items.length > 1; // each has its own cross then
  for (const id of ["gallery", "save-all", "spread", "remove-all"]) find(`#${id}`).hidden = items.length < 2;
  const count = items.filter((item) => item.selected).length;
  find("#spread").textContent = count ? t("spread_some", { count }) : t("spread");
  find("#save-all").textContent = count ? t("save_some", { count }) : t("save_all");
  items.forEach(showEntry);
}

/** The photos that a button for several is for: those that are selected, or all. */
function meant() {
  const selected = items.filter((item) => item.selected);
  return selected.length ? selected : items;
}

/**
 * Show a photo, or select it: with Ctrl itself, with Shift all from the one shown on.
 * @param {Item} item
 * @param {MouseEvent} event
 */
function pick(item, { ctrlKey, metaKey, shiftKey }) {
  if (ctrlKey || metaKey) item.selected = !item.selected;
  else if (shiftKey) {
    const ends = [items.indexOf(current), items.indexOf(item)].sort((a, b) => a - b);
    for (const one of items.slice(ends[0], ends[1] + 1)) one.selected = true;
  } else {
    for (const one of items) one.selected = false;
    show(item);
    return;
  }
  drawGallery();
}

/** @param {Item} item */
function makeEntry(item) {
  const cross = button("remove", t("remove_file", { name: item.file.name }), () => remove([item]));
  cross.textContent = "×";
  const thumb = button("thumb", item.file.name, () => {});
  thumb.addEventListener("click", (event) => pick(item, event));
  item.entry.append(thumb, cross);
}

/**
 * Show in the gallery what has become of a photo; the buttons stay, and with them the focus.
 * @param {Item} item
 */
function showEntry(item) {
  const thumb = /** @type {HTMLElement} */ (item.entry.querySelector(".thumb"));
  const failed = item.error !== null;
  thumb.setAttribute("aria-current", String(item === current));
  thumb.setAttribute("aria-pressed", String(item.selected));
  thumb.setAttribute("aria-label", failed ? t("file_failed", { name: item.file.name }) : item.file.name);
  if (failed) thumb.textContent = t("failed");
  else if (thumb.firstChild !== item.thumb) thumb.replaceChildren(item.thumb);
}

// --- Settings ----------------------------------------------------------------------------------------------

/**
 * Turn the photo clockwise, and with it the part that is kept and the colors said on it.
 * @param {number} quarters
 */
function turn(quarters) {
  const { rotate, crop: before, hints: known } = current.settings;
  let [part, moved] = [partOf(before), known];
  for (let i = 0; i < quarters; i++) [part, moved] = [turnedPart(part), turnedHints(moved)];
  change({ rotate: (rotate + 90 * quarters) % 360, crop: cropOf(part), marks: null, hints: moved });
}

/** @param {Partial<Chosen>} settings */
function change(settings) {
  changeEach([current], settings, Object.keys(settings).join());
}

/**
 * Give photos settings: merge again, or ask for a new proposal of the network where that is needed.
 * @param {Item[]} some
 * @param {Partial<Chosen>} settings
 * @param {string} name
 */
function changeEach(some, settings, name) {
  history.record(some, name);
  apply(some.map((item) => [item, settings]));
}

/** @param {history.Step | undefined} step */
function goBack(step) {
  if (!step) return;
  if (!step.some(([item]) => item === current)) show(step[0][0]);
  apply(step);
}

/** @param {[Item, Partial<Chosen>][]} step */
function apply(step) {
  for (const [item, settings] of step) {
    if (item.take(settings)) load(item);
    else if (item === current) paint();
    keepSoon(item);
  }
  showControls();
  showHistory();
}

function showControls() {
  showSettings(current);
  hints.showHints();
  reference.show(current);
}

function showHistory() {
  const can = history.can();
  find("#undo").ariaDisabled = String(!can.undo);
  find("#redo").ariaDisabled = String(!can.redo);
}

/** @type {Map<Item, number>} */
const soon = new Map();

/**
 * Draw the small picture, and keep the settings, once a slider rests.
 * @param {Item} item
 */
function keepSoon(item) {
  clearTimeout(soon.get(item));
  soon.set(item, setTimeout(() => {
    soon.delete(item);
    if (!items.includes(item)) return;
    shoebox.keep(item);
    item.drawThumb();
  }, 300));
}

// --- The preview -------------------------------------------------------------------------------------------

/**
 * Ask the server for the chroma of a photo with its settings.
 * @param {Item} item
 */
async function load(item) {
  item.waiting?.abort();
  const waiting = (item.waiting = new AbortController());
  item.sent = 0;
  item.error = null;
  calm(item);
  if (item === current) paint();
  try {
    await inTurn(() => propose(item, waiting.signal), waiting.signal, item === current);
  } catch (error) {
    if (isAbort(error)) return;
    item.error = error;
    complain(error instanceof Told ? new Told(`${item.file.name}: ${error.message}`) : error, item);
  }
  item.waiting = null;
  forgetOld();
  showEntry(item);
  if (item !== current) return;
  showSettings(item);
  paint();
}

/**
 * Get what the network proposes for a photo; until it answers, the photo itself is shown.
 * @param {Item} item
 * @param {AbortSignal} signal
 */
async function propose(item, signal) {
  if (item === current && (!item.preview || (item.settings.repair.length && !item.source))) {
    item.source = await decoded(item.file, LONGEST, item.settings);
    paint();
  }
  const { look, network, render_factor, saturation, warmth, hints: known, repair } = item.wanted;
  const { sending } = item;
  const path = `api/preview?${query({ look, network, render_factor, saturation, warmth, hints: known, repair, ...item.placing(sending) })}`;
  const answer = await (await send(path, sending, { signal, sent: (share) => showSent(item, share), beside: item.beside })).json();
  const picture = await pixelsOf(fileOf(answer.picture));
  item.small = answer.width > picture.width ? await encoded(picture) : item.small;
  item.answer(new Preview(answer, picture), sending);
}

/**
 * @param {Item} item
 * @param {number} share
 */
function showSent(item, share) {
  item.sent = share;
  if (item === current) showStatus();
}

/** Of many photos only those looked at last keep their preview; the others are asked for again. */
function forgetOld() {
  const loaded = items.filter((item) => item.preview && item !== current);
  loaded.sort((a, b) => b.shown - a.shown || a.number - b.number);
  for (const item of loaded.slice(MOST_PREVIEWS)) item.preview = item.small = null;
}

/** Merge and draw before the next frame of the screen, once however often it is asked for. */
function paint() {
  showStatus();
  if (painting) return;
  painting = true;
  requestAnimationFrame(() => {
    painting = false;
    if (current) drawCurrent();
  });
}

function drawCurrent() {
  const { preview, source, colored } = current;
  const before = source ?? preview?.picture;
  const { classList } = find("#view");
  if (classList.contains("plain") && preview) reveal();
  classList.toggle("empty", !before);
  classList.toggle("plain", !preview);
  if (!before) return;
  draw(find("#before"), before);
  draw(find("#after"), (mending.withoutColor() ? preview?.picture : colored) ?? before);
  certainty.showGuessed(current);
  loupe.show();
  crop.show();
  mending.show();
  showLooksOf(current);
}

/** Let the color appear over the photo that was shown until now. */
function reveal() {
  const fading = find("#fading");
  if (find("#view").classList.contains("empty")) return;
  fading.width = find("#after").width;
  fading.height = find("#after").height;
  fading.getContext("2d").drawImage(find("#after"), 0, 0);
  fading.hidden = false;
  fading.addEventListener("animationend", () => (fading.hidden = true), { once: true });
}

function showStatus() {
  if (!current) return;
  const { waiting, error, preview, source } = current;
  find("#view").classList.toggle("busy", Boolean(waiting));
  find("#view").hidden = error !== null && !preview && !source;
  find("#save").disabled = find("#compare").disabled = error !== null || !current.facts;
  find("#retry").hidden = error === null;
  find("#guide").hidden = !current.settings.still;
  const which = items.length > 1 ? t("which_of", { number: items.indexOf(current) + 1, count: items.length }) : "";
  const text = which + statusOf(current);
  if (find("#status").textContent !== text) find("#status").textContent = text;
  find("#after").setAttribute("aria-label", t("film_colored", { name: current.file.name }));
  showNotes();
}

/** @param {Item} item */
function statusOf({ file, waiting, sent, error, facts }) {
  if (waiting && sent > 0 && sent < 1) return t("sending_photo", { name: file.name, percent: Math.floor(100 * sent) });
  if (waiting) return t("coloring_photo", { name: file.name });
  if (error) return wordsOf(error);
  return facts ? t("pixels", { name: file.name, width: facts.width, height: facts.height }) : file.name;
}

function showNotes() {
  /** @type {string[]} */
  const notes = current.facts?.notes ?? [];
  find("#notes").replaceChildren(...notes.map((note) => Object.assign(document.createElement("li"), { textContent: note })));
}
