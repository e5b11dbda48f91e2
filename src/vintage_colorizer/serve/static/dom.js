// @ts-check
// Elements of the page.

/**
 * The element of the page that this selects; it is there.
 * @param {string} selector
 * @returns {any} for elements differ in what they have
 */
export const find = (selector) => document.querySelector(selector);

/**
 * Listen to a control.
 * @param {string} selector
 * @param {string} kind
 * @param {(event: {target: any}) => void} act
 */
export function on(selector, kind, act) {
  find(selector).addEventListener(kind, act);
}

/**
 * Listen to a field that takes files; the same ones can be chosen again.
 * @param {string} selector
 * @param {(files: File[]) => void} act
 */
export function onFiles(selector, act) {
  on(selector, "change", ({ target }) => {
    const files = [...target.files];
    target.value = "";
    if (files.length) act(files);
  });
}

export const STEP = 0.01; // of a picture, for a press of an arrow key

/** @type {Record<string, [number, number]>} */
export const ARROWS = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };

/**
 * Where in an element a pointer is, in parts of it.
 * @param {Element} element
 * @param {{clientX: number, clientY: number}} event
 * @returns {[number, number]}
 */
export function pointIn(element, { clientX, clientY }) {
  const { left, top, width, height } = element.getBoundingClientRect();
  return [(clientX - left) / width, (clientY - top) / height];
}

/**
 * A button with a name for those who cannot see it.
 * @param {string} kind
 * @param {string} label
 * @param {() => void} act
 */
export function button(kind, label, act) {
  const made = Object.assign(document.createElement("button"), { type: "button", className: kind });
  made.setAttribute("aria-label", label);
  made.addEventListener("click", act);
  return made;
}

/**
 * A time as clocks show it: 0:42, 1:02:03.
 * @param {number} seconds
 */
export function clock(seconds) {
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, Math.floor(seconds) % 60];
  const shown = [...(hours ? [hours, String(minutes).padStart(2, "0")] : [minutes]), String(rest).padStart(2, "0")];
  return shown.join(":");
}

/** @param {string} word */
export const capitalized = (word) => word[0].toUpperCase() + word.slice(1);

/**
 * Show what a slider stands at, to eyes and ears.
 * @param {any} slider
 * @param {Element | null} output
 * @param {number | string} value
 * @param {string} text
 */
export function showSlider(slider, output, value, text) {
  slider.value = value;
  slider.setAttribute("aria-valuetext", text);
  if (output) output.textContent = text;
}

/**
 * Keep a touch that scrolls the page from changing the slider it began on.
 * @param {HTMLInputElement} slider
 */
export function steady(slider) {
  let before = "";
  slider.addEventListener("pointerdown", () => (before = slider.value));
  slider.addEventListener("pointercancel", () => {
    slider.value = before;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
  });
}
