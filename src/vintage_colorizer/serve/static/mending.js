// @ts-check
// What is repaired in the photo: shown as a veil, added to or taken from with a brush, seen without color.

import { query, send } from "./api.js";
import { drawingOn } from "./canvas.js";
import { ARROWS, find, on, pointIn, showSlider } from "./dom.js";
import { calm, complain, isAbort } from "./messages.js";
import { t } from "./words.js";

/** @import { Chosen, Item } from "./item.js" */

const VEIL = [214, 40, 40, 150]; // RGBA, over what is filled
/** @type {() => Item} */
let current;
/** @type {(settings: Partial<Chosen>) => void} */
let change;
let asked = ""; // for which photo and settings the veil is
let askedWith = /** @type {Blob | null} */ (null); // strokes
let waiting = new AbortController();
const layer = new OffscreenCanvas(1, 1); // strokes: white where they add, black where they take
let layered = /** @type {Blob | null} */ (null); // what of the settings is on it
let at = [0.5, 0.5]; // where the brush is
let drawing = false;

/**
 * @param {() => Item} shown the photo that is shown
 * @param {(settings: Partial<Chosen>) => void} hear what is changed
 * @param {() => void} paint draws the photo again
 */
export function listen(shown, hear, paint) {
  [current, change] = [shown, hear];
  on("#show-filled", "change", show);
  on("#without-color", "change", paint);
  on("#brush", "click", () => take(!brushing()));
  on("#brush-clear", "click", () => change({ marks: null }));
  on("#brush-size", "input", place);
  const filled = find("#filled");
  for (const kind of ["pointerdown", "pointermove", "pointerup", "pointercancel"]) filled.addEventListener(kind, pointed);
  filled.addEventListener("keydown", keyed);
}

/** Whether the repaired photo is to be shown instead of the colored one. */
export const withoutColor = () => !find("#mending").hidden && find("#without-color").checked;

const brushing = () => find("#view").classList.contains("brushing");

/** @param {boolean} now */
function take(now) {
  find("#view").classList.toggle("brushing", now);
  find("#brush").ariaPressed = String(now);
  find("#brush-tools").hidden = !now;
  find("#filled").tabIndex = now ? 0 : -1;
  show();
  place();
  if (now) find("#filled").focus({ preventScroll: true });
}

/** Show what belongs to the current photo: the tools, and the veil where it is wanted. */
export function show() {
  const item = current();
  const mends = item.settings.repair.some((one) => one !== "fade");
  find("#mending").hidden = !item.settings.repair.length;
  find("#brush").hidden = find("#show-filled").closest("label").hidden = !mends;
  find("#brush-clear").hidden = !item.settings.marks;
  find(".tag.right").textContent = withoutColor() ? t("repaired") : t("after");
  if (!mends && brushing()) take(false);
  else if (mends && (find("#show-filled").checked || brushing())) askForVeil(item);
  else takeVeilAway();
}

function takeVeilAway() {
  waiting.abort();
  find("#filled").hidden = true;
  asked = "";
}

/** @param {Item} item */
async function askForVeil(item) {
  if (!asked.startsWith(`${item.number} `)) find("#filled").hidden = true;
  if (!item.preview || item.stale) return; // an old veil stays until there is a new one
  const { repair: only, rotate, crop, marks } = item.settings;
  const path = `api/repair?${query({ mask: true, only, rotate, crop })}`;
  const now = `${item.number} ${path}`;
  if (now === asked && marks === askedWith) return;
  [asked, askedWith] = [now, marks];
  waiting.abort();
  calm(show);
  const { signal } = (waiting = new AbortController());
  try {
    await load(marks);
    const answer = await send(path, item.file, { signal, beside: { marks } });
    const mask = await createImageBitmap(await answer.blob());
    if (!signal.aborted && !drawing) drawVeil(mask); // a stroke that goes on asks for another one
    mask.close();
  } catch (error) {
    if (isAbort(error)) return;
    asked = "";
    complain(error, show);
  }
}

/** @param {ImageBitmap} mask */
function drawVeil(mask) {
  const veil = find("#filled");
  const { width, height } = find("#after");
  Object.assign(veil, { width, height });
  const context = drawingOn(veil);
  context.drawImage(mask, 0, 0, width, height);
  const pixels = context.getImageData(0, 0, width, height);
  for (let i = 0; i < pixels.data.length; i += 4) pixels.data.set(pixels.data[i] > 40 ? VEIL : [0, 0, 0, 0], i);
  context.putImageData(pixels, 0, 0);
  veil.hidden = false;
}

// --- Strokes -------------------------------------------------------------------------------------------------

/**
 * Take the strokes of a photo onto the layer.
 * @param {Blob | null} marks
 */
async function load(marks) {
  const { width, height } = find("#after");
  if (marks === layered && layer.width === width && layer.height === height) return;
  Object.assign(layer, { width, height }); // which clears it
  layered = marks;
  if (!marks) return;
  const bitmap = await createImageBitmap(marks);
  if (marks === layered) drawingOn(layer).drawImage(bitmap, 0, 0, width, height); // else others came meanwhile
  bitmap.close();
}

const adds = () => find("#brush-tools [name=brush]:checked").value === "add";
const radius = () => Number(find("#brush-size").value) / 2;

/**
 * Draw from where the brush was to where it is.
 * @param {number[]} to
 */
function stroke(to) {
  for (const canvas of [layer, find("#filled")]) {
    const context = drawingOn(canvas);
    const [from, end] = [at, to].map(([x, y]) => /** @type {[number, number]} */ ([x * canvas.width, y * canvas.height]));
    context.lineCap = "round";
    context.lineWidth = 2 * radius();
    context.strokeStyle = canvas === layer ? (adds() ? "white" : "black") : `rgb(${VEIL.slice(0, 3).join()})`;
    context.globalCompositeOperation = canvas !== layer && !adds() ? "destination-out" : "source-over";
    context.beginPath();
    context.moveTo(...from);
    context.lineTo(...end);
    context.stroke();
  }
  at = to;
}

async function keep() {
  const item = current();
  const marks = await layer.convertToBlob({ type: "image/png" });
  if (item !== current()) return; // the strokes are not of that photo
  layered = marks;
  change({ marks });
}

/** @param {PointerEvent} event */
function pointed(event) {
  if (!brushing()) return;
  const to = pointIn(find("#filled"), event);
  if (event.type === "pointerdown") {
    find("#filled").setPointerCapture(event.pointerId);
    at = to;
    drawing = true;
  }
  if (drawing) stroke(to);
  else at = to;
  place();
  if (event.type === "pointerdown" || event.type === "pointermove" || !drawing) return;
  drawing = false;
  keep();
}

/** @param {KeyboardEvent} event */
function keyed(event) {
  const by = ARROWS[event.key];
  if (by) at = [0, 1].map((i) => Math.min(1, Math.max(0, at[i] + by[i])));
  else if (event.key === " " || event.key === "Enter") {
    stroke(at);
    keep();
  } else if (event.key === "Escape") take(false);
  else return;
  event.preventDefault();
  place();
}

/** Put the ring where the brush is. */
function place() {
  showSlider(find("#brush-size"), find("output[for=brush-size]"), 2 * radius(), String(2 * radius()));
  const ring = find("#brush-ring");
  const share = (200 * radius()) / Math.max(1, find("#after").width);
  Object.assign(ring.style, { left: `${100 * at[0]}%`, top: `${100 * at[1]}%`, width: `${share}%` });
}
