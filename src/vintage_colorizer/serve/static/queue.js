// @ts-check
// A few requests at a time; the photo that somebody looks at comes before those that wait.

const AT_ONCE = 3;
let running = 0;
/** @type {(() => void)[]} */
const waiting = [];

/**
 * Do work when its turn comes; throws AbortError if it is stopped before.
 * @template T
 * @param {() => Promise<T>} work
 * @param {AbortSignal} signal
 * @param {boolean} first before all that wait
 * @returns {Promise<T>}
 */
export async function inTurn(work, signal, first) {
  if (running >= AT_ONCE) {
    await new Promise((/** @type {(value?: unknown) => void} */ begin) => {
      if (first) waiting.unshift(begin);
      else waiting.push(begin);
    });
  } else running += 1;
  try {
    signal.throwIfAborted();
    return await work();
  } finally {
    const next = waiting.shift();
    if (next) next(); // the turn goes on to it
    else running -= 1;
  }
}
