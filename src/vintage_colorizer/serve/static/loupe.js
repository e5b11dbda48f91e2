// @ts-check
// Looks at the photo from near: zoomed by wheel, pinch, keys and buttons, moved by dragging, and sharp to its own pixels.
//
// The small picture is enlarged by the browser at once. Where the photo has more pixels than that, the part in sight is
// decoded from its file and merged with the same chroma, as the server will do it.

import { draw, drawnAt, opened } from "./canvas.js";
import { find, on, pointIn } from "./dom.js";
import { Preview } from "./merge.js";
import { t } from "./words.js";

/** @import { Item } from "./item.js" */
/** @typedef {{left: number, top: number, width: number, height: number}} Box */

const STEP = 1.5; // of zoom, for a press of a key or button
const MOST = 8; // screen pixels for a pixel of the photo
const REST = 120; // milliseconds without a movement before the photo's own pixels are shown
const GRIP = 24; // pixels around the edge between before and after in which it is dragged, and not the photo
const SMALL_MOVE = 4; // pixels: less is a click

/** @type {() => Item | null} */
let current;
/** @type {Item | null} */
let shown = null;
let lying = ""; // how it is turned and cropped
let zoom = 1; // 1 shows all of it
let [x, y] = [0, 0]; // of its upper left corner, in parts of the frame
/** @type {Map<number, {x: number, y: number}>} */
const fingers = new Map();
/** @type {number | undefined} */
let resting;
/** @type {Promise<ImageBitmap> | null} all pixels of the photo, while it is zoomed */
let whole = null;

const frame = () => find("#view").getBoundingClientRect();

/** @param {() => Item | null} item the photo that is shown */
export function listen(item) {
  current = item;
  const view = find("#view");
  view.addEventListener("wheel", turned, { passive: false });
  view.addEventListener("pointerdown", pressed);
  view.addEventListener("pointermove", moved);
  for (const end of ["pointerup", "pointercancel"]) view.addEventListener(end, released);
  view.addEventListener("click", swallow, { capture: true });
  find(".viewer").addEventListener("keydown", keyed);
  on("#nearer", "click", () => zoomBy(STEP));
  on("#farther", "click", () => zoomBy(1 / STEP));
  on("#zoom", "click", () => zoomTo(zoom === 1 ? own() : 1));
}

/** Show the photo from as near as before; another photo is shown whole. */
export function show() {
  const item = current();
  const lies = `${item?.settings.rotate} ${item?.settings.crop}`;
  if (item !== shown || lies !== lying) {
    forget();
    [shown, lying, zoom, x, y] = [item, lies, 1, 0, 0];
  }
  place();
}

/** The zoom at which a pixel of the photo takes one of the screen. */
function own() {
  const width = shown?.facts?.width ?? find("#after").width;
  return Math.max(1, width / (frame().width * devicePixelRatio));
}

/**
 * Zoom about a point, in parts of the frame, that stays where it is.
 * @param {number} to
 * @param {number} [left]
 * @param {number} [top]
 */
function zoomTo(to, left = 0.5, top = 0.5) {
  const before = zoom;
  zoom = Math.min(MOST * own(), Math.max(1, to));
  x = left - ((left - x) * zoom) / before;
  y = top - ((top - y) * zoom) / before;
  place();
}

/**
 * @param {number} factor
 * @param {number} [left]
 * @param {number} [top]
 */
const zoomBy = (factor, left, top) => zoomTo(zoom * factor, left, top);

/** Put the layers where they belong; once they rest there, show the photo's own pixels. */
function place() {
  [x, y] = [x, y].map((at) => Math.min(0, Math.max(1 - zoom, at)));
  const { style, classList } = find("#view");
  for (const [name, value] of Object.entries({ "--x": 100 * x, "--y": 100 * y, "--zoom": zoom })) style.setProperty(name, String(value));
  classList.toggle("near", zoom > 1);
  const percent = `${Math.round((100 * zoom) / own())} %`;
  find("#zoom").textContent = zoom === 1 ? t("whole_photo") : percent;
  find("#zoom").setAttribute("aria-label", zoom === 1 ? t("zoom_own") : t("zoom_whole", { percent }));
  find("#nearby").hidden = find("#nearby-before").hidden = true;
  clearTimeout(resting);
  if (zoom > 1) resting = setTimeout(sharpen, REST);
  else forget();
}

function forget() {
  whole?.then((bitmap) => bitmap.close(), () => {});
  whole = null;
}

// --- The photo's own pixels --------------------------------------------------------------------------------

/** Show the part in sight with the photo's own pixels, where it has more than the small picture. */
async function sharpen() {
  const item = shown;
  const { preview, facts, settings, file } = item ?? {};
  if (!preview || !facts || !settings || settings.repair.length || facts.width <= preview.picture.width) return;
  try {
    const bitmap = await (whole ??= opened(/** @type {File} */ (file), settings));
    if (item !== shown || zoom === 1 || bitmap.width !== facts.width) return;
    const { part, scale } = inSight(bitmap);
    const picture = pixelsOf(bitmap, part, scale);
    const size = [bitmap.width, bitmap.height].map((side) => Math.round(side * scale));
    const at = { x: Math.round(part.left * scale), y: Math.round(part.top * scale), width: size[0], height: size[1] };
    const colored = new Preview(preview.answer, picture, at).colored(settings);
    put("#nearby", new ImageData(colored, picture.width, picture.height), part, bitmap);
    put("#nearby-before", picture, part, bitmap);
  } catch {
    whole = null; // a format that the browser does not decode: the small picture stays
  }
}

/**
 * Which part of the photo is in sight, and at which scale it fills the screen's pixels.
 * @param {ImageBitmap} bitmap
 * @returns {{part: Box, scale: number}}
 */
function inSight({ width, height }) {
  const [left, top] = [Math.floor((-x / zoom) * width), Math.floor((-y / zoom) * height)];
  const part = { left, top, width: Math.min(width - left, Math.ceil(width / zoom)), height: Math.min(height - top, Math.ceil(height / zoom)) };
  return { part, scale: Math.min(1, (frame().width * devicePixelRatio) / part.width) };
}

/**
 * @param {ImageBitmap} bitmap
 * @param {Box} part
 * @param {number} scale
 */
function pixelsOf(bitmap, part, scale) {
  const [width, height] = [part.width, part.height].map((side) => Math.max(1, Math.round(side * scale)));
  return drawnAt(bitmap, width, height, part);
}

/**
 * Lay pixels over the part of the photo that they are of.
 * @param {string} selector
 * @param {ImageData} picture
 * @param {Box} part
 * @param {ImageBitmap} bitmap
 */
function put(selector, picture, part, { width, height }) {
  const canvas = find(selector);
  draw(canvas, picture);
  const places = { left: part.left / width, top: part.top / height, width: part.width / width, height: part.height / height };
  for (const [name, share] of Object.entries(places)) canvas.style[name] = `${100 * share}%`;
  canvas.hidden = false;
}

// --- Hands -------------------------------------------------------------------------------------------------

let dragged = false; // the press that goes on has moved something
let splitting = false;

/** @param {WheelEvent} event */
function turned(event) {
  if (zoom === 1 && event.deltaY > 0) return; // there is nothing to zoom out of, so the page is scrolled
  event.preventDefault();
  zoomBy(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.002)), ...pointOf(event));
}

/** @param {{clientX: number, clientY: number}} event */
const pointOf = (event) => pointIn(find("#view"), event);

/** @param {PointerEvent} event */
function pressed(event) {
  dragged = false;
  if (/** @type {Element} */ (event.target).closest(".pin, #frame, .brushing #filled")) return;
  fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  splitting = zoom > 1 && fingers.size === 1 && !find("#view").classList.contains("telling") && atEdge(event);
}

/** @param {PointerEvent} event */
function atEdge(event) {
  return Math.abs(pointOf(event)[0] - find("#split").value / 100) * frame().width < GRIP;
}

/** @param {PointerEvent} event */
function moved(event) {
  const before = fingers.get(event.pointerId);
  if (!before) return;
  const now = { x: event.clientX, y: event.clientY };
  if (!dragged && Math.hypot(now.x - before.x, now.y - before.y) < SMALL_MOVE) return;
  const { width, height } = frame();
  if (fingers.size === 2) pinch(event.pointerId, before, now);
  else if (zoom > 1 && splitting) split(pointOf(event)[0]);
  else if (zoom > 1) {
    x += (now.x - before.x) / width;
    y += (now.y - before.y) / height;
    place();
  } else return;
  dragged = true;
  fingers.set(event.pointerId, now);
}

/**
 * @param {number} finger
 * @param {{x: number, y: number}} before
 * @param {{x: number, y: number}} now
 */
function pinch(finger, before, now) {
  const other = [...fingers].filter(([id]) => id !== finger)[0][1];
  const apart = (/** @type {{x: number, y: number}} */ one) => Math.max(1, Math.hypot(one.x - other.x, one.y - other.y));
  zoomBy(apart(now) / apart(before), ...pointOf({ clientX: (now.x + other.x) / 2, clientY: (now.y + other.y) / 2 }));
}

/** @param {number} share */
function split(share) {
  const slider = find("#split");
  slider.value = String(Math.round(100 * share));
  slider.dispatchEvent(new Event("input", { bubbles: true }));
}

/**
 * The click that ends a drag means nothing; one by a key, which has no detail, does.
 * @param {MouseEvent} event
 */
function swallow(event) {
  if (dragged && event.detail) event.stopPropagation();
}

/** @param {PointerEvent} event */
function released(event) {
  fingers.delete(event.pointerId);
}

/** @param {KeyboardEvent} event */
function keyed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "+" || event.key === "=") zoomBy(STEP);
  else if (event.key === "-") zoomBy(1 / STEP);
  else if (event.key === "0") zoomTo(1);
  else return;
  event.preventDefault();
}
