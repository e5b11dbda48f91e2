// @ts-check
// What was changed, to be undone and done again. A drag of one slider is one change.

/** @import { Chosen, Item } from "./item.js" */
/** @typedef {[Item, Chosen][]} Step photos, with the settings they had */

const ONE_DRAG = 800; // milliseconds
const SLIDERS = ["vividness", "saturation", "warmth", "render_factor"]; // all else changes once for each gesture
const MOST = 200;
/** @type {Step[]} */
let done = [];
/** @type {Step[]} */
let undone = [];
let last = { name: "", item: /** @type {Item | null} */ (null), time: 0 };

/**
 * Note what photos are like before they change.
 * @param {Item[]} items
 * @param {string} name of what changes; the same soon after is the same change
 */
export function record(items, name) {
  const now = Date.now();
  const same = SLIDERS.includes(name) && name === last.name && items[0] === last.item && now - last.time < ONE_DRAG && undone.length === 0;
  last = { name, item: items[0], time: now };
  if (same) return;
  done = [...done, snapshot(items)].slice(-MOST);
  undone = [];
}

/** @returns {Step | undefined} what the photos were before the last change */
export function undo() {
  return step(done, undone);
}

/** @returns {Step | undefined} what they were before the last undo */
export function redo() {
  return step(undone, done);
}

export const can = () => ({ undo: done.length > 0, redo: undone.length > 0 });

/**
 * Forget a photo that is removed.
 * @param {Item} item
 */
export function forget(item) {
  const without = (/** @type {Step[]} */ steps) =>
    steps.map((one) => one.filter(([of]) => of !== item)).filter((one) => one.length);
  done = without(done);
  undone = without(undone);
}

/**
 * @param {Step[]} from
 * @param {Step[]} to
 */
function step(from, to) {
  const before = from.pop();
  if (before) to.push(snapshot(before.map(([item]) => item)));
  last.time = 0;
  return before;
}

/**
 * @param {Item[]} items
 * @returns {Step}
 */
const snapshot = (items) => items.map((item) => [item, { ...item.settings }]);
