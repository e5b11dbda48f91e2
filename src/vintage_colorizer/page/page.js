// Starts the page: what the server offers, then photos and films.

import { acceptDrops, ask, calm, complain, find } from "./api.js";
import * as photos from "./photos.js";

async function main() {
  find("#error button").addEventListener("click", calm);
  const [known, health] = await Promise.all(["api/looks", "api/health"].map(async (path) => (await ask(path)).json()));
  photos.start(known, health);
  find("#files").addEventListener("change", (event) => {
    photos.add([...event.target.files]);
    event.target.value = "";
  });
  acceptDrops(document.body, photos.add);
  document.body.dataset.ready = "yes";
}

main().catch(complain);
