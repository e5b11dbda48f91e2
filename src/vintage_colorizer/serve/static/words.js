// @ts-check
// All words of the page, in the language of whoever looks at it: words-LANGUAGE.json holds them.

const LANGUAGES = ["en", "de", "fr", "es", "ja"];

const wanted = navigator.languages.map((one) => one.slice(0, 2).toLowerCase());
const language = wanted.find((one) => LANGUAGES.includes(one)) ?? LANGUAGES[0];
/** @type {Record<string, string>} */
const words = await (await fetch(`words-${language}.json`)).json();

/**
 * The words for something; {names} in them stand for values.
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 */
export function t(key, values = {}) {
  return words[key].replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/**
 * The words of this language for what the server says in English, where there are any.
 * @param {string} key
 * @param {string} english
 */
export const local = (key, english) => words[key] ?? english;

/**
 * Put words into elements that name theirs: data-t is for their text, data-t-label for what a screen reader says.
 * @param {ParentNode} root
 */
export function translate(root) {
  for (const element of root.querySelectorAll("[data-t]")) element.textContent = t(element.getAttribute("data-t") ?? "");
  for (const element of root.querySelectorAll("[data-t-label]")) {
    element.setAttribute("aria-label", t(element.getAttribute("data-t-label") ?? ""));
  }
  for (const template of root.querySelectorAll("template")) translate(template.content);
}

document.documentElement.lang = language;
translate(document);
