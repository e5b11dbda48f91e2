// @ts-check
// A look of one's own: settings that are kept in this browser, and given to other photos.

import { find, on } from "./dom.js";
import { say } from "./messages.js";
import { t } from "./words.js";

/** @import { Chosen } from "./item.js" */

const NAME = "vintage-colorizer-my-look";
const KEPT = /** @type {const} */ (["look", "network", "render_factor", "vividness", "saturation", "warmth"]);

/**
 * @param {(settings: Partial<Chosen>) => void} change
 * @param {() => Chosen} current the settings of the photo shown
 * @param {(settings: Partial<Chosen>) => boolean} ready whether the server has that look
 */
export function listen(change, current, ready) {
  on("#keep-look", "click", () => {
    const settings = current();
    localStorage.setItem(NAME, JSON.stringify(Object.fromEntries(KEPT.map((name) => [name, settings[name]]))));
    show(ready);
    say(t("look_kept"));
  });
  on("#my-look", "click", () => change(mine() ?? {}));
  show(ready);
}

/** @param {(settings: Partial<Chosen>) => boolean} ready */
function show(ready) {
  const kept = mine();
  find("#my-look").hidden = !kept || !ready(kept);
}

/** @returns {Partial<Chosen> | null} */
function mine() {
  try {
    return JSON.parse(localStorage.getItem(NAME) ?? "null");
  } catch {
    return null;
  }
}
