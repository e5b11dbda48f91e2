// @ts-check
// Controls made of the server's description of its options, for those that the page has no place of its own for.

import { capitalized } from "./dom.js";
import { local, t } from "./words.js";

/** @import { Field } from "./api.js" */

/**
 * A control for an option: a box, a choice, several boxes or a number.
 * @param {string} name
 * @param {Field} field
 * @returns {HTMLElement}
 */
export function controlFor(name, field) {
  const kinds = field.anyOf ?? [field];
  const choices = kinds.find((kind) => kind.enum)?.enum;
  const help = Object.assign(document.createElement("small"), { textContent: local(`option.${name}`, field.description) });
  if (field.type === "boolean") return labeled("check", box(name, "true"), help);
  if (field.items?.enum) return group(name, field.items.enum, help);
  return labeled("field", local(`option.${name}.name`, capitalized(name.replaceAll("_", " "))), choices ? select(name, choices) : number(name, kinds[0]), help);
}

/**
 * The ends of a slider for an option.
 * @param {Field} field
 */
export function rangeOf(field) {
  const range = (field.anyOf ?? [field]).find((one) => one.maximum !== undefined);
  return { min: range?.minimum, max: range?.maximum };
}

/**
 * What is chosen in a form; what is left at its default is not in it.
 * @param {HTMLFormElement} form
 * @param {string[]} names
 * @returns {Record<string, string | string[]>}
 */
export function chosenIn(form, names) {
  const data = new FormData(form);
  const each = names.map((name) => /** @type {const} */ ([name, data.getAll(name).map(String).filter(Boolean)]));
  return Object.fromEntries(each.filter(([, values]) => values.length));
}

/**
 * @param {string} kind
 * @param {(string | Element)[]} parts
 */
function labeled(kind, ...parts) {
  const label = Object.assign(document.createElement("label"), { className: kind });
  label.append(...parts);
  return label;
}

/**
 * @param {string} name
 * @param {string} value
 */
const box = (name, value) => Object.assign(document.createElement("input"), { type: "checkbox", name, value });

/**
 * @param {string} name
 * @param {string[]} choices
 * @param {Element} help
 */
function group(name, choices, help) {
  const made = document.createElement("fieldset");
  const legend = Object.assign(document.createElement("legend"), { textContent: local(`option.${name}.name`, capitalized(name)) });
  made.append(legend, ...choices.map((choice) => labeled("check", box(name, choice), local(choice, capitalized(choice)))), help);
  return made;
}

/**
 * @param {string} name
 * @param {string[]} choices
 */
function select(name, choices) {
  const made = Object.assign(document.createElement("select"), { name });
  made.append(new Option(t("as_usual"), ""), ...choices.map((choice) => new Option(choice)));
  return made;
}

/**
 * @param {string} name
 * @param {Field} kind
 */
function number(name, { minimum, maximum, type }) {
  const step = type === "integer" ? "1" : "any";
  return Object.assign(document.createElement("input"), { type: "number", name, min: String(minimum ?? ""), max: String(maximum ?? ""), step });
}
