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
  const [known, health] = await Promise.all(["api/looks", "api/health"].map(async (path) => (await ask(path)).json()));
  photos.start(known, health);
  find("#files").addEventListener("change", (event) => {
    photos.add([...event.target.files]);
    event.target.value = "";
  });
  if (health.limits.film_megabytes) startTabs(known, health);
  acceptDrops(document.body, (files) => (find("#films").hidden ? photos : films).add(files));
  document.body.dataset.ready = "yes";
}

function startTabs(known, health) {
  films.start(known, health);
  find("#tabs").hidden = false;
  for (const name of TABS) {
    find(`#${name}`).setAttribute("role", "tabpanel");
    find(`#tab-${name}`).addEventListener("click", () => open(name));
  }
  find("#tabs").addEventListener("keydown", (event) => {
    if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
    const other = TABS.find((name) => find(`#${name}`).hidden);
    open(other);
    find(`#tab-${other}`).focus();
  });
  open(TABS.includes(location.hash.slice(1)) ? location.hash.slice(1) : "photos");
}

/** Show one tab. The address remembers which, so that a reload comes back to it. */
function open(chosen) {
  for (const name of TABS) {
    find(`#${name}`).hidden = name !== chosen;
    find(`#tab-${name}`).setAttribute("aria-selected", String(name === chosen));
    find(`#tab-${name}`).tabIndex = name === chosen ? 0 : -1;
  }
  history.replaceState(null, "", `#${chosen}`);
}

main().catch(complain);
