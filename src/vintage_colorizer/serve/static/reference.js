// @ts-check
// Another photo whose colors this one follows: of the same person, room or series.

import { find, on, onFiles } from "./dom.js";
import { t } from "./words.js";

/** @import { Chosen, Item } from "./item.js" */

/** @type {File | null} */
let shown = null;

/** @param {(settings: Partial<Chosen>) => void} change */
export function listen(change) {
  onFiles("#reference", ([file]) => change({ reference: file }));
  on("#unfollow", "click", () => {
    change({ reference: null });
    find("#reference").focus();
  });
}

/**
 * Show which photo is followed.
 * @param {Item} item
 */
export function show({ settings: { reference } }) {
  find("#followed").hidden = !reference;
  if (reference === shown) return;
  shown = reference;
  URL.revokeObjectURL(find("#reference-image").src);
  find("#reference-image").src = reference ? URL.createObjectURL(reference) : "";
  find("#followed span").textContent = reference ? t("follows", { name: reference.name }) : "";
}
