// Requests to the server this page comes from, and the words for what can go wrong.

const MOST_TRIES = 20;
export const find = (selector) => document.querySelector(selector);

/** An error whose message is fit to be shown. */
export class Told extends Error {}

/** Fetch; waits and tries again while the server is busy. Throws Told. */
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

async function reach(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Told("The server does not answer. Is it still running?");
  }
}

/** What the server says is wrong. */
async function words(response) {
  try {
    return (await response.json()).message;
  } catch {
    return `The server answered with an error (${response.status}).`;
  }
}

/** Show an error; what was aborted on purpose is none. */
export function complain(error) {
  if (error.name === "AbortError") return;
  console.error(error);
  find("#error span").textContent = error instanceof Told ? error.message : "Something went wrong in this page; reload it.";
  find("#error").hidden = false;
}

export function calm() {
  find("#error").hidden = true;
}

/** Tell those who cannot see it what has happened. */
export function say(text) {
  find("#said").textContent = text;
}

/** A query of the settings that are set. */
export function query(settings) {
  const set = Object.entries(settings).filter(([, value]) => value !== null && value !== "" && value !== false);
  return new URLSearchParams(set).toString();
}

/** Hand a blob to the browser as a download. */
export function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Let files be dropped on an element. */
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
    take([...event.dataTransfer.files]);
  });
}
