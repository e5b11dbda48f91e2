// @ts-check
// Tells somebody who looks elsewhere that a film is done: in the title of the page, and outside of it if they like.

import { find, on } from "./dom.js";

const title = document.title;

export function listen() {
  find("#notify").closest("label").hidden = !("Notification" in window);
  on("#notify", "change", async ({ target }) => {
    if (target.checked) target.checked = (await Notification.requestPermission()) === "granted";
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) document.title = title;
  });
}

/** @param {string} words */
export function tell(words) {
  if (!document.hidden) return;
  document.title = `${words} · ${title}`;
  if (find("#notify").checked) new Notification(title, { body: words });
}
