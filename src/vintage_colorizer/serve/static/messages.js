// @ts-check
// What went wrong, shown until it is closed or mended, and what happened, said to those who cannot see it.

import { find } from "./dom.js";
import { t } from "./words.js";

/** An error whose message is fit to be shown. */
export class Told extends Error {}

/** @type {WeakMap<Element, object | null>} what each message shown is about */
const subjects = new WeakMap();

/**
 * Whether it was stopped on purpose.
 * @param {unknown} error
 */
export function isAbort(error) {
  return error instanceof DOMException && error.name === "AbortError";
}

/**
 * What to show of an error.
 * @param {unknown} error
 */
export function wordsOf(error) {
  return error instanceof Told ? error.message : t("page_failed");
}

/**
 * Show an error beside those that are shown already, unless it was stopped on purpose.
 * @param {unknown} error
 * @param {object | null} about a new message about the same thing replaces the old one
 */
export function complain(error, about = null) {
  if (isAbort(error)) return;
  console.error(error);
  if (about) calm(about);
  const text = wordsOf(error);
  for (const one of shown()) if (one.firstChild?.textContent === text) one.remove();
  const message = document.createElement("p");
  const words = Object.assign(document.createElement("span"), { textContent: text });
  const close = Object.assign(document.createElement("button"), { type: "button", textContent: "×" });
  close.setAttribute("aria-label", t("close_message"));
  close.addEventListener("click", () => {
    message.remove();
    find("#main").focus(); // the button pressed is gone
  });
  message.append(words, close);
  subjects.set(message, about);
  find("#errors").append(message);
}

/**
 * Take messages away: all, or those about one thing.
 * @param {object | null} about
 */
export function calm(about = null) {
  for (const message of shown()) if (!about || subjects.get(message) === about) message.remove();
}

/** @returns {Element[]} */
const shown = () => [...find("#errors").children];

/** @param {string} text */
export function say(text) {
  find("#said").textContent = text;
}
