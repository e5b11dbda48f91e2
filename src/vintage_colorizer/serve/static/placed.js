// @ts-check
// How a photo lies: turned, and which part of it is kept; and where the colors said on it are then.

/** @import { Said } from "./item.js" */
/**
 * @typedef {number[]} Part left, top, right and bottom, in parts of the sides of the picture
 * @typedef {{width: number, height: number}} Size
 */

/** @type {Part} */
const WHOLE = [0, 0, 1, 1];

/** @param {string | null} crop as the API takes it */
export const partOf = (crop) => crop?.split(",").map(Number) ?? WHOLE;

/**
 * A part as the API takes it.
 * @param {Part} part
 */
export const cropOf = (part) => (String(part) === String(WHOLE) ? null : part.map((one) => Number(one.toFixed(5))).join());

/**
 * A part of a part, as one of the whole.
 * @param {Part} outer
 * @param {Part} inner
 * @returns {Part}
 */
export function inside([left, top, right, bottom], inner) {
  const [from, size] = [[left, top], [right - left, bottom - top]];
  return inner.map((one, i) => from[i % 2] + one * size[i % 2]);
}

/**
 * A part of a picture that is turned clockwise by 90 degrees.
 * @param {Part} part
 * @returns {Part}
 */
export const turnedPart = ([left, top, right, bottom]) => [1 - bottom, left, 1 - top, right];

/**
 * Hints on a picture that is turned clockwise by 90 degrees.
 * @param {Said[]} hints
 */
export const turnedHints = (hints) => hints.map((hint) => ({ ...hint, x: 1 - hint.y, y: hint.x }));

/**
 * The hints of a picture that lie on a part of it, as hints on that part.
 * @param {Said[]} hints
 * @param {Part} part
 * @param {Size} size of the picture
 */
export function hintsWithin(hints, [left, top, right, bottom], { width, height }) {
  const scale = Math.max(width, height) / Math.max(width * (right - left), height * (bottom - top));
  return hints
    .filter(({ x, y }) => x >= left && x <= right && y >= top && y <= bottom)
    .map((hint) => moved(hint, (hint.x - left) / (right - left), (hint.y - top) / (bottom - top), scale));
}

/**
 * The hints on a part of a picture, as hints on all of it.
 * @param {Said[]} hints
 * @param {Part} part
 * @param {Size} size of the part
 */
export function hintsBeyond(hints, [left, top, right, bottom], { width, height }) {
  const scale = Math.max(width, height) / Math.max(width / (right - left), height / (bottom - top));
  return hints.map((hint) => moved(hint, left + hint.x * (right - left), top + hint.y * (bottom - top), scale));
}

/**
 * @param {Said} hint
 * @param {number} x
 * @param {number} y
 * @param {number} scale of its radius, which is in parts of the longer side
 * @returns {Said}
 */
const moved = ({ radius, ...hint }, x, y, scale) => ({ ...hint, x, y, ...(radius ? { radius: Math.min(0.5, radius * scale) } : {}) });
