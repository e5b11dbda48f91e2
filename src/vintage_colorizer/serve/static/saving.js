// @ts-check
// Results at full quality: one as it is, several as a zip.

import { download, query, send } from "./api.js";
import { find } from "./dom.js";
import { calm, complain, say, Told, wordsOf } from "./messages.js";
import { distinct, zip } from "./zip.js";
import { t } from "./words.js";

/** @import { Item } from "./item.js" */

/** @param {Item} item */
export async function save(item) {
  calm(item);
  await whileBusy("#save", t("saving"), async () => {
    const { name, blob } = await result(item);
    download(blob, name);
    say(t("saved", { name }));
  });
}

/**
 * Give a still of a film back to it in the colors that it has now, to guide the film.
 * @param {Item} item
 */
export async function guide(item) {
  const { still } = item.settings;
  if (!still) return;
  calm(item);
  await whileBusy("#guide", t("giving_back"), async () => {
    const { blob } = await result(item);
    await send(`api/films/${still.film}/keyframes?${query({ at: still.at })}`, blob, { method: "PUT" });
    say(t("guides_now", { name: still.name }));
  });
}

/**
 * Save all that can be saved, and say which could not.
 * @param {Item[]} items
 */
export async function saveAll(items) {
  calm(saveAll);
  await whileBusy("#save-all", t("saving_all"), async () => {
    const files = [];
    const failed = [];
    for (const item of items) {
      find("#save-all").textContent = t("saving_some", { number: files.length + failed.length + 1, count: items.length });
      try {
        files.push(await result(item));
      } catch (error) {
        failed.push(`${item.file.name}: ${wordsOf(error)}`);
      }
    }
    if (files.length) {
      const names = distinct(files.map(({ name }) => name));
      download(await zip(files.map(({ blob }, i) => ({ name: names[i], blob }))), "colored-photos.zip");
    }
    say(t("saved_photos", { count: files.length }));
    if (failed.length) complain(new Told(t("not_saved", { failed: failed.length, count: items.length, why: failed.join(" ") })), saveAll);
  });
}

/**
 * The result at full quality, with its name.
 * @param {Item} item
 */
async function result(item) {
  const response = await send(`api/photo?${query(item.wanted)}`, item.file, { beside: item.beside });
  const suffix = /\.\w+(?="$)/.exec(response.headers.get("Content-Disposition") ?? "")?.[0] ?? "";
  return { name: item.resultName + suffix, blob: await response.blob() };
}

/**
 * @param {string} selector
 * @param {string} text
 * @param {() => Promise<void>} work
 */
async function whileBusy(selector, text, work) {
  const pressed = find(selector);
  if (pressed.ariaDisabled === "true") return;
  const label = pressed.textContent;
  pressed.ariaDisabled = "true"; // a button disabled outright would lose the focus
  pressed.textContent = text;
  say(text);
  try {
    await work();
  } catch (error) {
    complain(error);
  }
  pressed.ariaDisabled = "false";
  pressed.textContent = label;
}
