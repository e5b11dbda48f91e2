// @ts-check
// Requests to the server this page comes from, and the words for what can go wrong.

/**
 * What the server answers; /api/openapi.json says more.
 * @typedef {{look: string, network: string, about: string, default: boolean, render_factor: number,
 *   vividness: number | null}} LookRow
 * @typedef {{looks: LookRow[], formats: string[], film_look: string}} Choices
 * @typedef {{limits: {megabytes: number, megapixels: number, film_megabytes: number}}} Health
 * @typedef {{description: string, default: any, minimum?: number, maximum?: number, anyOf?: Field[]}} Field
 * @typedef {{properties: Record<string, Field>}} Schema
 * @typedef {{photo: Schema, film: Schema}} Settings
 * @typedef {{width: number, height: number, vividness: (number | null)[], chroma: string[], midtone: string,
 *   warmth: number[]}} Maps
 * @typedef {{width: number, height: number, render_factor: number, vividness: number | null, saturation: number,
 *   notes: string[], picture: string, maps: Maps}} PhotoPreview
 * @typedef {{id: string, name: string, state: "waiting" | "coloring" | "done" | "failed", stage: string | null,
 *   frames_done: number, frames: number | null, seconds_left: number | null, message: string, notes: string[],
 *   result: string, result_name: string}} Job
 */

const MOST_TRIES = 20;

/**
 * The element of the page that this selects; it is there.
 * @param {string} selector
 * @returns {any} for elements differ in what they have
 */
export const find = (selector) => document.querySelector(selector);

/** An error whose message is fit to be shown. */
export class Told extends Error {}

/**
 * Fetch; waits and tries again while the server is busy. Throws Told.
 * @param {string} path
 * @param {RequestInit} options
 */
export async function ask(path, options = {}) {
  for (let tries = 1; ; tries++) {
    const response = await reach(path, options);
    if (response.ok) return response;
    const wait = Number(response.headers.get("Retry-After"));
    if (!(response.status === 503 && wait && tries < MOST_TRIES)) throw new Told(await words(response));
    await new Promise((resolve) => setTimeout(resolve, 1000 * wait));
    options.signal?.throwIfAborted();
  }
}

/**
 * @param {string} path
 * @param {RequestInit} options
 */
async function reach(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new Told("The server does not answer. Is it still running?");
  }
}

/**
 * What the server says is wrong.
 * @param {Response} response
 */
async function words(response) {
  try {
    return (await response.json()).message;
  } catch {
    return `The server answered with an error (${response.status}).`;
  }
}

/**
 * Whether it was stopped on purpose.
 * @param {unknown} error
 */
export function isAbort(error) {
  return error instanceof DOMException && error.name === "AbortError";
}

/**
 * Show an error, unless it was stopped on purpose.
 * @param {unknown} error
 */
export function complain(error) {
  if (isAbort(error)) return;
  console.error(error);
  find("#error span").textContent = error instanceof Told ? error.message : "Something went wrong in this page; reload it.";
  find("#error").hidden = false;
}

export function calm() {
  find("#error").hidden = true;
}

/**
 * Tell those who cannot see it what has happened.
 * @param {string} text
 */
export function say(text) {
  find("#said").textContent = text;
}

/**
 * A query of the settings that are set.
 * @param {Record<string, string | number | boolean | null>} settings
 */
export function query(settings) {
  const set = Object.entries(settings).filter(([, value]) => value !== null && value !== "" && value !== false);
  return new URLSearchParams(set.map(([name, value]) => [name, String(value)])).toString();
}

/**
 * Hand a blob to the browser as a download.
 * @param {Blob} blob
 * @param {string} name
 */
export function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/**
 * Let files be dropped on an element.
 * @param {HTMLElement} element
 * @param {(files: File[]) => void} take
 */
export function acceptDrops(element, take) {
  for (const name of ["dragenter", "dragover"]) {
    element.addEventListener(name, (event) => {
      event.preventDefault();
      element.classList.add("over");
    });
  }
  for (const name of ["dragleave", "drop"]) element.addEventListener(name, () => element.classList.remove("over"));
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    take([...(event.dataTransfer?.files ?? [])]);
  });
}

/** @param {string} word */
export const capitalized = (word) => word[0].toUpperCase() + word.slice(1);
