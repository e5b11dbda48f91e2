// @ts-check
// One photo at several render factors, side by side, to take the one that looks best.

import { query, send } from "./api.js";
import { button, find } from "./dom.js";
import { complain, isAbort } from "./messages.js";
import { t } from "./words.js";

/** @import { Item } from "./item.js" */

const COMPARED = "10,16,24,32,auto";

/**
 * Show the sheet.
 * @param {Item} item
 * @param {(factor: string) => void} take hears the choice
 */
export async function compare(item, take) {
  const { look, network, saturation, warmth, vividness, hints, repair, rotate, crop } = item.wanted;
  const waiting = new AbortController();
  find("#sheet").addEventListener("close", () => waiting.abort(), { once: true });
  find("#sheet-view").hidden = true;
  find("#sheet-choices").replaceChildren();
  find("#sheet-status").textContent = t("sheet_coloring");
  find("#sheet").showModal();
  try {
    const path = `api/sheet?${query({ look, network, saturation, warmth, vividness, hints, repair, rotate, crop, try: COMPARED })}`;
    const sheet = await (await send(path, item.file, { signal: waiting.signal, beside: item.beside })).blob();
    showSheet(item, sheet);
    find("#sheet-choices").replaceChildren(...COMPARED.split(",").map((factor) => choice(factor, take)));
  } catch (error) {
    if (isAbort(error)) return; // closed, perhaps opened again for another photo
    find("#sheet").close();
    complain(error, item);
  }
}

/**
 * @param {Item} item
 * @param {Blob} sheet
 */
function showSheet(item, sheet) {
  const image = find("#sheet-image");
  URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(sheet);
  image.alt = t("sheet_alt", { name: item.file.name, factors: COMPARED });
  find("#sheet-view").hidden = false;
  find("#sheet-status").textContent = t("sheet_choose");
}

/**
 * @param {string} factor
 * @param {(factor: string) => void} take
 */
function choice(factor, take) {
  const made = button("quiet", t("take_factor", { factor }), () => {
    find("#sheet").close();
    take(factor);
  });
  made.textContent = factor;
  return made;
}
