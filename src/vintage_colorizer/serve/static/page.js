// @ts-check
// Starts the page: what the server offers, then photos and films.

import { ask } from "./api.js";
import { find, onFiles } from "./dom.js";
import * as films from "./films.js";
import { acceptAnywhere, kindOf } from "./intake.js";
import { complain } from "./messages.js";
import * as photos from "./photos.js";

const TABS = ["photos", "films"];

async function main() {
  const paths = ["api/looks", "api/settings", "api/health"];
  const [known, settings, health] = await Promise.all(paths.map(async (path) => (await ask(path)).json()));
  await photos.start(known, settings, health);
  if (health.limits.film_megabytes) startTabs(known, settings, health);
  for (const field of ["#files", "#film-file"]) onFiles(field, take);
  acceptAnywhere((files) => files.then(take).catch((error) => complain(error, acceptAnywhere)));
  document.body.dataset.ready = "yes";
}

/**
 * Photos to the photos, films to the films; what is neither by its name goes where somebody is, and the server looks at it.
 * @param {File[]} files
 */
function take(files) {
  const onFilms = !find("#films").hidden;
  const takesFilms = !find("#tabs").hidden;
  const reels = files.filter((file) => takesFilms && (kindOf(file) || (onFilms ? "film" : "")) === "film");
  const pictures = files.filter((file) => !reels.includes(file));
  if (reels.length) films.add(reels);
  if (pictures.length) photos.add(pictures);
  if (takesFilms && files.length) open(pictures.length ? "photos" : "films");
}

/**
 * @param {import("./api.js").Choices} known
 * @param {import("./api.js").Settings} settings
 * @param {import("./api.js").Health} health
 */
function startTabs(known, settings, health) {
  films.start(known, settings, health, (picture, still) => {
    photos.add([new File([picture], `${still.name}.png`, { type: picture.type })], still);
    open("photos");
  });
  find("#tabs").hidden = false;
  for (const name of TABS) {
    find(`#${name}`).setAttribute("role", "tabpanel");
    find(`#tab-${name}`).addEventListener("click", () => open(name));
  }
  find("#tabs").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
    const other = TABS.find((name) => find(`#${name}`).hidden) ?? TABS[0];
    open(other);
    find(`#tab-${other}`).focus();
  });
  open(TABS.includes(location.hash.slice(1)) ? location.hash.slice(1) : "photos");
}

/**
 * Show one tab. The address remembers which, so that a reload comes back to it.
 * @param {string} chosen
 */
function open(chosen) {
  for (const name of TABS) {
    find(`#${name}`).hidden = name !== chosen;
    find(`#tab-${name}`).setAttribute("aria-selected", String(name === chosen));
    find(`#tab-${name}`).tabIndex = name === chosen ? 0 : -1;
  }
  history.replaceState(null, "", `#${chosen}`);
}

main().catch(complain);
