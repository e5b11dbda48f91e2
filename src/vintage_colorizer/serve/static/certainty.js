// @ts-check
// Where the network guessed: a dark veil over the colored photo.

import { query, send } from "./api.js";
import { draw, pixelsOf } from "./canvas.js";
import { find, on } from "./dom.js";
import { calm, complain, isAbort } from "./messages.js";

/** @import { Item } from "./item.js" */

let asked = ""; // for which photo and settings the veil is
let waiting = new AbortController();

/** @param {() => Item | null} current the photo that is shown */
export function listen(current) {
  on("#show-guessed", "change", () => showGuessed(current()));
}

/**
 * Lay the veil over a photo, where it is wanted.
 * @param {Item | null} item
 */
export async function showGuessed(item) {
  const veil = find("#guessed");
  const path = item?.preview && !item.stale && find("#show-guessed").checked ? `api/certainty?${query(asking(item))}` : "";
  const now = path && `${item?.number} ${path}`;
  if (now === asked) return;
  asked = now;
  veil.hidden = true;
  waiting.abort();
  calm(showGuessed);
  if (!item || !path) return;
  waiting = new AbortController();
  try {
    const answer = await send(path, item.small ?? item.file, { signal: waiting.signal });
    draw(veil, await pixelsOf(await answer.blob()));
    veil.hidden = now !== asked;
  } catch (error) {
    if (isAbort(error)) return;
    find("#show-guessed").checked = false;
    asked = "";
    complain(error, showGuessed);
  }
}

/** @param {Item} item */
function asking(item) {
  const { look, network, render_factor, hints } = item.wanted;
  return { look, network, render_factor, hints, ...item.placing(item.small ?? item.file) };
}
