// @ts-check
// The looks as small pictures of the photo itself, to pick one by eye.

import { canvasOf, drawingOn, drawnAt } from "./canvas.js";
import { find } from "./dom.js";
import { Preview } from "./merge.js";

/** @import { LookRow } from "./api.js" */
/** @import { Item } from "./item.js" */

const WIDTH = 144; // pixels
/** @type {WeakMap<Preview, Preview>} */
const smaller = new WeakMap();

/**
 * Draw the photo in each look, where looks differ by vividness alone: else each would ask another network.
 * @param {Item} item
 * @param {LookRow[]} rows
 */
export function drawLooks({ preview, settings }, rows) {
  const own = rows.filter(({ network }) => network === settings.network);
  const free = preview?.vivid && own.every(({ vividness }) => vividness !== null);
  for (const { look, vividness } of own) {
    const canvas = find(`#looks [data-look=${look}]`);
    canvas.hidden = !free;
    if (preview && free) drawOne(canvas, small(preview), { ...settings, vividness });
  }
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Preview} preview
 * @param {{vividness: number | null, saturation: number, warmth: number}} settings
 */
function drawOne(canvas, preview, settings) {
  const { width, height } = preview.picture;
  Object.assign(canvas, { width, height });
  drawingOn(canvas).putImageData(new ImageData(preview.colored(settings), width, height), 0, 0);
}

/** @param {Preview} preview */
function small(preview) {
  const made = smaller.get(preview) ?? new Preview(preview.answer, shrunk(preview.picture));
  smaller.set(preview, made);
  return made;
}

/** @param {{width: number, height: number, data: Uint8ClampedArray}} picture */
function shrunk({ width, height, data }) {
  const full = canvasOf(new ImageData(new Uint8ClampedArray(data), width, height));
  return drawnAt(full, WIDTH, Math.max(1, Math.round((WIDTH * height) / width)));
}
