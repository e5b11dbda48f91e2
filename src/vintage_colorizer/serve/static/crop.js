// @ts-check
// Which part of the photo is kept: a frame over it, dragged with a pointer or moved with arrow keys.

import { ARROWS, find, on, pointIn } from "./dom.js";
import { cropOf, hintsBeyond, hintsWithin, inside, partOf } from "./placed.js";
import { t } from "./words.js";

/** @import { Chosen, Item } from "./item.js" */
/** @import { Part } from "./placed.js" */

const LEAST = 0.05; // of the picture: a side of the frame
const CORNERS = [[0, 1], [2, 1], [0, 3], [2, 3]]; // which two of left, top, right and bottom each moves
const NAMES = ["corner_upper_left", "corner_upper_right", "corner_lower_left", "corner_lower_right"];

/** @type {() => Item} */
let current;
/** @type {(settings: Partial<Chosen>) => void} */
let change;
/** @type {Item | null} whose frame is shown */
let framed = null;
/** @type {Part} */
let part = [];
/** @type {[number, number]} where in the photo the pointer was, while it moves the frame */
let held = [0, 0];

/**
 * @param {() => Item} shown the photo that is shown
 * @param {(settings: Partial<Chosen>) => void} hear what is changed
 */
export function listen(shown, hear) {
  [current, change] = [shown, hear];
  on("#crop", "click", () => (framed ? close() : open()));
  on("#crop-use", "click", () => keep(part));
  on("#crop-whole", "click", takeBack);
  on("#crop-cancel", "click", close);
  find("#frame").addEventListener("keydown", keyed);
  for (const kind of ["pointerdown", "pointermove", "pointerup"]) find("#frame").addEventListener(kind, pointed);
}

/** Close the frame where another photo is shown, or this one has changed. */
export function show() {
  if (framed && (framed !== current() || framed.stale)) close();
}

function open() {
  if (current().stale) return;
  framed = current();
  part = [0.1, 0.1, 0.9, 0.9];
  toggle(true);
  find("#crop-whole").hidden = !framed.settings.crop;
  place();
  find("#frame .corner").focus();
}

function close() {
  const focused = document.activeElement?.closest("#frame, #crop-bar");
  framed = null;
  toggle(false);
  if (focused) find("#crop").focus({ preventScroll: true });
}

/** @param {boolean} now */
function toggle(now) {
  find("#view").classList.toggle("cropping", now);
  find("#frame").hidden = find("#crop-bar").hidden = !now;
  find("#crop").ariaPressed = String(now);
}

/** @param {Part} chosen of what is shown */
function keep(chosen) {
  const { settings, facts } = current();
  close();
  if (facts) change({ crop: cropOf(inside(partOf(settings.crop), chosen)), marks: null, hints: hintsWithin(settings.hints, chosen, facts) });
}

/** Show all of the photo again. */
function takeBack() {
  const { settings, facts } = current();
  close();
  if (facts) change({ crop: null, marks: null, hints: hintsBeyond(settings.hints, partOf(settings.crop), facts) });
}

function place() {
  const [left, top, right, bottom] = part.map((one) => 100 * one);
  Object.assign(find("#frame .kept").style, { left: `${left}%`, top: `${top}%`, width: `${right - left}%`, height: `${bottom - top}%` });
  document.querySelectorAll("#frame .corner").forEach((corner, at) => {
    const [x, y] = CORNERS[at].map((side) => Math.round(100 * part[side]));
    corner.setAttribute("aria-label", t("crop_corner", { name: t(NAMES[at]), x, y }));
  });
}

/**
 * Move two sides, or all four, as far as the picture and the other sides let them.
 * @param {number[]} sides
 * @param {[number, number]} by
 */
function move(sides, by) {
  const least = sides.length > 2 ? [0, 0, part[2] - part[0], part[3] - part[1]] : [0, 0, part[0] + LEAST, part[1] + LEAST];
  const most = sides.length > 2 ? [1 - least[2], 1 - least[3], 1, 1] : [part[2] - LEAST, part[3] - LEAST, 1, 1];
  part = part.map((one, at) => (sides.includes(at) ? Math.min(most[at], Math.max(least[at], one + by[at % 2])) : one));
  place();
}

/**
 * The sides that a corner moves; all of them for the frame itself.
 * @param {EventTarget | null} target
 */
const sidesOf = (target) => CORNERS[[...document.querySelectorAll("#frame .corner")].indexOf(/** @type {Element} */ (target))] ?? [0, 1, 2, 3];

/** @param {KeyboardEvent} event */
function keyed(event) {
  const by = ARROWS[event.key];
  if (by) move(sidesOf(event.target), by);
  else if (event.key === "Enter") keep(part);
  else if (event.key === "Escape") close();
  else return;
  event.preventDefault();
}

/** @param {PointerEvent} event */
function pointed(event) {
  const target = /** @type {Element} */ (event.target);
  const [x, y] = pointIn(find("#frame"), event);
  if (event.type === "pointerdown" && target.matches(".kept, .corner")) target.setPointerCapture(event.pointerId);
  else if (event.type === "pointermove" && target.hasPointerCapture(event.pointerId)) {
    move(sidesOf(target), [x - held[0], y - held[1]]);
  }
  held = [x, y];
}
