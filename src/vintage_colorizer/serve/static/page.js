// @ts-check
// Starts the page: what the server offers, then photos and films.

import { acceptDrops, ask, calm, complain, find } from "./api.js";
import * as films from "./films.js";
import * as photos from "./photos.js";

const TABS = ["photos", "films"];

async function main() {
  find("#error button").addEventListener("click", () => {
    calm();
    find(find("#films").hidden ? "#files" : "#film-file").focus(); // the button pressed is gone
  });
  const paths = ["api/looks", "api/settings", "api/health"];
  const [known, settings, health] = await Promise.all(paths.map(async (path) => (await ask(path)).json()));
  photos.start(known, settings, health);
  const files = find("#files");
  files.addEventListener("change", () => {
    photos.add([...files.files]);
    files.value = "";
  });
  if (health.limits.film_megabytes) startTabs(known, health);
  acceptDrops(document.body, (dropped) => (find("#films").hidden ? photos : films).add(dropped));
  document.body.dataset.ready = "yes";
}

/**
 * @param {import("./api.js").Choices} known
 * @param {import("./api.js").Health} health
 */
function startTabs(known, health) {
  films.start(known, health);
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
