// @ts-check
// The controls beside the photo: what the server offers, and what is chosen for the photo shown.

import { capitalized, find, on, showSlider, steady } from "./dom.js";
import { rangeOf } from "./fields.js";
import { drawLooks } from "./looks.js";
import { local } from "./words.js";

/** @import { Choices, LookRow, Settings } from "./api.js" */
/** @import { Chosen, Item } from "./item.js" */

const SLIDERS = ["vividness", "saturation", "warmth", "render_factor"];
const SHARES = /** @type {const} */ (["vividness", "saturation", "warmth"]); // shown in percent
const CHECKS = /** @type {const} */ (["mark", "strip"]);
/** @type {LookRow[]} */
let rows = [];

/**
 * Fill the controls with what the server offers; returns the settings of a photo just added.
 * @param {Choices} known
 * @param {Settings} settings
 * @returns {Chosen}
 */
export function fill(known, settings) {
  rows = known.looks;
  const fields = settings.photo.properties;
  const networks = [...new Set(rows.map((row) => row.network))];
  for (const name of SLIDERS) Object.assign(find(`#${name}`), rangeOf(fields[name]));
  for (const slider of document.querySelectorAll(".slider input")) steady(/** @type {HTMLInputElement} */ (slider));
  find("#factor-help").textContent = local("option.render_factor", fields.render_factor.description);
  for (const name of CHECKS) find(`#${name} + span`).textContent = local(`option.${name}`, fields[name].description);
  for (const network of networks) find("#network").append(new Option(network));
  find("#network-field").hidden = networks.length < 2;
  showLooks(networks[0]);
  for (const format of known.formats) find("#format").append(new Option(format.toUpperCase(), format));
  return {
    look: (rows.find((row) => row.default) ?? rows[0]).look,
    network: networks[0],
    rotate: 0,
    crop: null,
    render_factor: "",
    vividness: null,
    saturation: fields.saturation.default,
    warmth: fields.warmth.default,
    format: "",
    mark: fields.mark.default,
    strip: fields.strip.default,
    hints: [],
    repair: [],
    reference: null,
    marks: null,
    still: null,
  };
}

/**
 * Offer the looks that a network has.
 * @param {string} network
 */
function showLooks(network) {
  find("#looks").dataset.network = network;
  find("#looks").replaceChildren(...rows.filter((row) => row.network === network).map(lookChoice));
}

/**
 * Draw the photo in each look.
 * @param {Item} item
 */
export const showLooksOf = (item) => drawLooks(item, rows);

/** @param {LookRow} row */
function lookChoice({ look, about }) {
  const label = document.createElement("label");
  const radio = Object.assign(document.createElement("input"), { type: "radio", name: "look", value: look });
  const thumb = Object.assign(document.createElement("canvas"), { hidden: true });
  thumb.dataset.look = look;
  thumb.ariaHidden = "true";
  const words = document.createElement("span");
  const help = local(`look.${look}.about`, about);
  words.append(local(`look.${look}`, capitalized(look)), Object.assign(document.createElement("small"), { textContent: help }));
  label.append(radio, thumb, words);
  return label;
}

/**
 * Hear what is changed.
 * @param {(settings: Partial<Chosen>) => void} change
 * @param {() => Chosen} current the settings of the photo shown
 */
export function listen(change, current) {
  on("#looks", "change", ({ target }) => change({ look: target.value, vividness: null }));
  for (const name of SHARES) on(`#${name}`, "input", ({ target }) => change({ [name]: Number(target.value) }));
  on("#render_factor", "input", ({ target }) => showFactor(target.value));
  on("#render_factor", "change", ({ target }) => change({ render_factor: target.value }));
  on("#auto", "change", ({ target }) => change({ render_factor: target.checked ? "auto" : find("#render_factor").value }));
  on("#network", "change", ({ target }) => change(ofNetwork(target.value, current().look)));
  on("#repairs", "change", () => change({ repair: repairs().filter((box) => box.checked).map((box) => box.value) }));
  on("#format", "change", ({ target }) => change({ format: target.value }));
  for (const name of CHECKS) on(`#${name}`, "change", ({ target }) => change({ [name]: target.checked }));
}

/**
 * What another network asks for: its own factor and vividness, and a look that it has.
 * @param {string} network
 * @param {string} wanted
 * @returns {Partial<Chosen>}
 */
function ofNetwork(network, wanted) {
  const looks = rows.filter((row) => row.network === network).map((row) => row.look);
  return { network, look: looks.includes(wanted) ? wanted : looks[0], vividness: null, render_factor: "" };
}

/**
 * Show what is chosen for a photo.
 * @param {Item} item
 */
export function showSettings({ settings, facts, vivid }) {
  const row = rows.find(({ look, network }) => look === settings.look && network === settings.network);
  if (find("#looks").dataset.network !== settings.network) showLooks(settings.network);
  find(`#looks [value=${settings.look}]`).checked = true;
  for (const name of SHARES) {
    const value = settings[name] ?? row?.vividness ?? 0;
    showValue(name, value, `${Math.round(100 * value)} %`);
  }
  find("#vividness").closest(".slider").classList.toggle("off", facts ? !vivid : row?.vividness === null);
  find("#auto").checked = settings.render_factor === "auto";
  find("#render_factor").disabled = settings.render_factor === "auto";
  showFactor(Number(settings.render_factor) || (facts?.render_factor ?? row?.render_factor ?? 0));
  for (const name of /** @type {const} */ (["network", "format"])) find(`#${name}`).value = settings[name];
  for (const name of CHECKS) find(`#${name}`).checked = settings[name];
  for (const box of repairs()) box.checked = settings.repair.includes(box.value);
}

/** @returns {HTMLInputElement[]} */
const repairs = () => [...find("#repairs").querySelectorAll("input")];

/** @param {number} value */
function showFactor(value) {
  showValue("render_factor", value, String(value));
}

/**
 * @param {string} name
 * @param {number} value
 * @param {string} text
 */
const showValue = (name, value, text) => showSlider(find(`#${name}`), find(`output[for=${name}]`), value, text);
