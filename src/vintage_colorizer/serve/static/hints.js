// @ts-check
// Colors that somebody knows: pins on the photo, and the same as a list for keyboard and screen reader.

import { query, send } from "./api.js";
import { ARROWS, button, find, on, onFiles, pointIn, STEP } from "./dom.js";
import { calm, complain, say, Told } from "./messages.js";
import { t } from "./words.js";

/** @import { Place } from "./api.js" */
/** @import { Chosen, Item, Said } from "./item.js" */

/** @type {() => Item} */
let current;
/** @type {(settings: Partial<Chosen>) => void} */
let change;
let selected = 0; // which of the hints is offered colors

/**
 * @param {() => Item} shown the photo that is shown
 * @param {(settings: Partial<Chosen>) => void} hear what is changed
 */
export function listen(shown, hear) {
  [current, change] = [shown, hear];
  on("#tell", "click", () => tell(!telling()));
  on("#tell-middle", "click", () => add(0.5, 0.5));
  on("#tell-where", "click", addWhereUnsure);
  onFiles("#hints-file", ([file]) => load(file));
  on("#pins", "click", addAtPointer);
}

const telling = () => find("#view").classList.contains("telling");

/** @param {boolean} now */
function tell(now) {
  find("#view").classList.toggle("telling", now);
  find("#tell").ariaPressed = String(now);
  find("#tell-help").hidden = find("#tell-middle").hidden = find("#tell-where").hidden = !now;
  showHints();
}

/** @param {any} event a click on the photo, beside the pins */
function addAtPointer(event) {
  if (event.target !== find("#pins")) return;
  const [x, y] = pointedAt(event);
  add(x, y);
}

/**
 * Where on the photo the pointer is.
 * @param {{clientX: number, clientY: number}} event
 */
const pointedAt = (event) => pointIn(find("#pins"), event).map(inside);

/** @param {number} part */
const inside = (part) => Math.round(1e4 * Math.min(1, Math.max(0, part))) / 1e4;

/**
 * @param {number} x
 * @param {number} y
 */
function add(x, y) {
  const { hints } = current().settings;
  selected = hints.length;
  change({ hints: [...hints, { x, y, color: "" }] });
  find("#hints li:last-child input").focus();
}

/** Add the place at which a color would help most and that has none yet. */
async function addWhereUnsure() {
  try {
    const [place] = await suggested(current(), {});
    if (place) add(inside(place.x), inside(place.y));
  } catch (error) {
    complain(error, addWhereUnsure);
  }
}

/**
 * Add the hints of a file: JSON lines, a painted layer, or a photo that was colored with hints.
 * @param {File} file
 */
async function load(file) {
  calm(load);
  try {
    /** @type {Said[]} */
    const known = await (await send("api/hints", file)).json();
    if (!known.length) throw new Told(t("no_colors_stated"));
    const added = known.map(({ x, y, color, radius, by }) => ({ x, y, color, radius, by }));
    change({ hints: [...current().settings.hints, ...added] });
    say(t("colors_taken", { count: known.length, name: file.name }));
  } catch (error) {
    complain(error instanceof Told ? new Told(`${file.name}: ${error.message}`) : error, load);
  }
}

/**
 * Change one hint; null removes it.
 * @param {number} at
 * @param {Partial<Said> | null} to
 */
function set(at, to) {
  const { hints } = current().settings;
  selected = to ? at : 0;
  change({ hints: hints.flatMap((one, i) => (i !== at ? [one] : to ? [{ ...one, ...to }] : [])) });
}

// --- Showing -----------------------------------------------------------------------------------------------

/** Show the hints of the current photo; fields and pins stay, and with them the focus. */
export function showHints() {
  const { hints } = current().settings;
  find("#told-none").hidden = hints.length > 0;
  fit(find("#hints"), hints.length, makeRow);
  fit(find("#pins"), hints.length, makePin);
  hints.forEach((hint, at) => {
    showRow(find("#hints").children[at], hint, at);
    showPin(find("#pins").children[at], hint, at);
  });
  if (telling() && selected < hints.length) offer(selected);
}

/**
 * As many children as there are hints.
 * @param {Element} list
 * @param {number} count
 * @param {(at: number) => Element} make
 */
function fit(list, count, make) {
  while (list.children.length > count) list.lastElementChild?.remove();
  while (list.children.length < count) list.append(make(list.children.length));
}

/** @param {number} at */
function makeRow(at) {
  const row = document.createElement("li");
  const number = Object.assign(document.createElement("span"), { className: "number", textContent: String(at + 1) });
  const color = field("color", t("color_of_place", { number: at + 1 }), (value) => set(at, { color: value }));
  const x = field("number", t("place_left", { number: at + 1 }), (value) => set(at, { x: inside(Number(value) / 100) }));
  const y = field("number", t("place_top", { number: at + 1 }), (value) => set(at, { y: inside(Number(value) / 100) }));
  const cross = button("remove", t("remove_place", { number: at + 1 }), () => {
    set(at, null);
    find("#tell").focus();
  });
  cross.textContent = "×";
  const swatches = Object.assign(document.createElement("div"), { className: "swatches" });
  row.append(number, color, x, y, cross, swatches);
  row.addEventListener("focusin", () => select(at));
  return row;
}

/**
 * @param {string} type
 * @param {string} label
 * @param {(value: string) => void} act
 */
function field(type, label, act) {
  const made = Object.assign(document.createElement("input"), { type, min: "0", max: "100", step: "0.1" });
  made.setAttribute("aria-label", label);
  made.addEventListener("change", () => act(made.value));
  return made;
}

/**
 * @param {Element} row
 * @param {Said} hint
 * @param {number} at
 */
function showRow(row, hint, at) {
  const [color, x, y] = row.querySelectorAll("input");
  color.value = hint.color.startsWith("#") ? hint.color : "#808080";
  x.value = (100 * hint.x).toFixed(1);
  y.value = (100 * hint.y).toFixed(1);
  const swatches = /** @type {HTMLElement} */ (row.querySelector(".swatches"));
  if (swatches.dataset.place !== placeOf(at)) swatches.replaceChildren(); // of another photo, or before it was moved
  row.classList.toggle("selected", at === selected);
  row.classList.toggle("unsaid", !hint.color);
}

/** @param {number} at */
function makePin(at) {
  const pin = button("pin", t("place_number", { number: at + 1 }), () => select(at));
  pin.textContent = String(at + 1);
  pin.addEventListener("keydown", (event) => {
    const by = ARROWS[event.key];
    if (!by) return;
    event.preventDefault();
    const { x, y } = current().settings.hints[at];
    set(at, { x: inside(x + by[0]), y: inside(y + by[1]) });
  });
  pin.addEventListener("pointerdown", (event) => pin.setPointerCapture(event.pointerId));
  pin.addEventListener("pointermove", (event) => {
    if (pin.hasPointerCapture(event.pointerId)) putAt(pin, ...pointedAt(event));
  });
  pin.addEventListener("pointerup", (event) => {
    const [x, y] = pointedAt(event);
    const { x: left, y: top } = current().settings.hints[at];
    if (Math.hypot(x - left, y - top) > STEP) set(at, { x, y });
    else putAt(pin, left, top); // a tap, not a drag
  });
  return pin;
}

/**
 * @param {any} pin
 * @param {number[]} place
 */
function putAt(pin, ...[x, y]) {
  Object.assign(pin.style, { left: `${100 * x}%`, top: `${100 * y}%` });
}

/**
 * @param {any} pin
 * @param {Said} hint
 * @param {number} at
 */
function showPin(pin, { x, y, color }, at) {
  putAt(pin, x, y);
  pin.style.setProperty("--said", color === "none" ? "#808080" : color || "transparent");
  pin.setAttribute("aria-label", t("place_color", { number: at + 1, color: color || t("no_color_yet") }));
  pin.setAttribute("aria-current", String(at === selected));
}

// --- Suggestions -------------------------------------------------------------------------------------------

/** @param {number} at */
function select(at) {
  selected = at;
  showHints();
  offer(at);
}

/**
 * A name for the place of a hint, which another photo or another place does not have.
 * @param {number} at
 */
function placeOf(at) {
  const { number, settings } = current();
  return `${number} ${settings.hints[at]?.x} ${settings.hints[at]?.y}`;
}

/**
 * Offer the colors that are likely at the place of a hint.
 * @param {number} at
 */
async function offer(at) {
  const place = placeOf(at);
  const swatches = find("#hints").children[at].querySelector(".swatches");
  if (swatches.dataset.place === place) return;
  swatches.dataset.place = place;
  const { x, y } = current().settings.hints[at];
  try {
    const [{ colors }] = await suggested(current(), { x, y });
    if (swatches.dataset.place !== place) return; // it was moved meanwhile
    swatches.replaceChildren(...colors.map(({ color, share }) => swatch(at, color, t("likely", { color, percent: Math.round(100 * share) }))));
    swatches.append(swatch(at, "none", t("is_grey")));
  } catch {
    delete swatches.dataset.place; // a network that does not say; the color field is there
  }
}

/**
 * @param {Item} item
 * @param {{x?: number, y?: number}} place
 * @returns {Promise<Place[]>}
 */
async function suggested(item, place) {
  const { look, network, render_factor, hints } = item.wanted;
  const sending = item.small ?? item.file;
  return (await send(`api/suggest?${query({ look, network, render_factor, hints, ...item.placing(sending), ...place })}`, sending)).json();
}

/**
 * @param {number} at
 * @param {string} color
 * @param {string} label
 */
function swatch(at, color, label) {
  const made = button("swatch", t("place_swatch", { number: at + 1, label }), () => set(at, { color }));
  made.title = label;
  made.style.setProperty("--said", color === "none" ? "#808080" : color);
  return made;
}
