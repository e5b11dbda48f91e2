// @ts-check
// The photos: each with its own settings, shown as a preview that answers at once, saved at full quality.

import { ask, calm, capitalized, complain, download, find, isAbort, query, say, Told } from "./api.js";
import { drawingOn, pixelsOf } from "./canvas.js";
import { Preview } from "./merge.js";
import { distinct, zip } from "./zip.js";

/** @import { Choices, Field, Health, LookRow, Settings } from "./api.js" */
/**
 * What is chosen for a photo, by the names of the API; "" leaves it to the server.
 * @typedef {{look: string, network: string, render_factor: string | number, vividness: number | null,
 *   saturation: number, warmth: number, format: string, mark: boolean, strip: boolean}} Chosen
 */

const SLIDERS = ["vividness", "saturation", "warmth", "render_factor"];
const COMPARED = "10,16,24,32,auto";
const THUMB = 176;

/** One photo: its file, its settings, and what the server said. */
class Item {
  /** @type {Preview | null} */
  preview = null;
  /** @type {AbortController | null} */
  waiting = null; // aborts the request under way
  failed = "";
  stale = true; // the settings want another preview

  /**
   * @param {File} file
   * @param {Chosen} settings
   */
  constructor(file, settings) {
    this.file = file;
    this.settings = { ...settings };
    this.thumb = document.createElement("canvas");
    this.thumb.width = this.thumb.height = THUMB;
    this.entry = galleryEntry(this);
  }

  /** The settings as the API takes them, all explicit, so that what is saved is what is shown. */
  get wanted() {
    const { vividness, ...rest } = this.settings;
    const factor = this.preview && !this.stale ? this.preview.answer.render_factor : rest.render_factor;
    return { ...rest, render_factor: factor, vividness: this.preview?.vivid ? vividness : null };
  }

  get resultName() {
    const stem = this.file.name.replace(/\.[^.]*$/, "");
    return `${stem}-color`;
  }
}

/** @type {Item[]} */
const items = [];
/** @type {any} the Item that is shown; null before there is one */
let current = null;
let megabytes = 0; // of the largest photo the server takes
/** @type {LookRow[]} */
let rows = [];
let painting = false;
/** @type {Chosen} */
let fresh;

/**
 * @param {Choices} known
 * @param {Settings} settings
 * @param {Health} health
 */
export function start(known, settings, health) {
  megabytes = health.limits.megabytes;
  rows = known.looks;
  const fields = settings.photo.properties;
  const networks = [...new Set(rows.map((row) => row.network))];
  fresh = {
    look: (rows.find((row) => row.default) ?? rows[0]).look,
    network: networks[0],
    render_factor: "",
    vividness: null,
    saturation: fields.saturation.default,
    warmth: fields.warmth.default,
    format: "",
    mark: fields.mark.default,
    strip: fields.strip.default,
  };
  for (const name of SLIDERS) Object.assign(find(`#${name}`), rangeOf(fields[name]));
  find("#factor-help").textContent = fields.render_factor.description;
  for (const name of ["mark", "strip"]) find(`#${name} + span`).textContent = fields[name].description;
  for (const network of networks) find("#network").append(new Option(network));
  find("#network-field").hidden = networks.length < 2;
  showLooks(fresh.network);
  for (const format of known.formats) find("#format").append(new Option(format.toUpperCase(), format));
  listen();
}

/**
 * The ends of a slider.
 * @param {Field} field
 */
function rangeOf(field) {
  const number = (field.anyOf ?? [field]).find((one) => one.maximum !== undefined);
  return { min: number?.minimum, max: number?.maximum };
}

/**
 * Offer the looks that a network has.
 * @param {string} network
 */
function showLooks(network) {
  find("#looks").dataset.network = network;
  find("#looks").replaceChildren(...rows.filter((row) => row.network === network).map(lookChoice));
}

/** @param {LookRow} row */
function lookChoice({ look, about }) {
  const label = document.createElement("label");
  const radio = Object.assign(document.createElement("input"), { type: "radio", name: "look", value: look });
  const help = Object.assign(document.createElement("small"), { textContent: about });
  label.append(radio, capitalized(look), help);
  return label;
}

function listen() {
  find("#controls").addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    save();
  });
  on("#looks", "change", ({ target }) => change({ look: target.value, vividness: null }, true));
  for (const name of ["vividness", "saturation", "warmth"]) {
    on(`#${name}`, "input", ({ target }) => change({ [name]: Number(target.value) }));
  }
  on("#render_factor", "input", ({ target }) => showFactor(target.value));
  on("#render_factor", "change", ({ target }) => change({ render_factor: target.value }, true));
  on("#auto", "change", ({ target }) => change({ render_factor: target.checked ? "auto" : find("#render_factor").value }, true));
  on("#network", "change", ({ target }) => changeNetwork(target.value));
  on("#format", "change", ({ target }) => change({ format: target.value }));
  for (const name of ["mark", "strip"]) on(`#${name}`, "change", ({ target }) => change({ [name]: target.checked }));
  on("#split", "input", ({ target }) => {
    find("#view").style.setProperty("--split", `${target.value}%`);
    target.setAttribute("aria-valuetext", `${target.value} %`);
  });
  find("#reset").addEventListener("click", () => change(fresh, true));
  find("#spread").addEventListener("click", spread);
  find("#save-all").addEventListener("click", saveAll);
  find("#compare").addEventListener("click", compare);
  find("#sheet-close").addEventListener("click", () => find("#sheet").close());
}

/**
 * Listen to a control.
 * @param {string} selector
 * @param {string} kind
 * @param {(event: {target: any}) => void} act
 */
function on(selector, kind, act) {
  find(selector).addEventListener(kind, act);
}

// --- Which photo -------------------------------------------------------------------------------------------

/** @param {File[]} files */
export function add(files) {
  calm();
  const settings = current?.settings ?? fresh;
  const added = [];
  for (const file of files) {
    if (file.size > megabytes * 1e6) complain(new Told(`${file.name} is over the server's limit of ${megabytes} MB.`));
    else added.push(new Item(file, { ...settings, vividness: null }));
  }
  if (!added.length) return;
  items.push(...added);
  find("#gallery").append(...added.map((item) => item.entry));
  find("#work").hidden = false;
  find("#drop").classList.add("small");
  show(added[0]);
  for (const item of added.slice(1)) load(item);
}

/** @param {Item} item */
function show(item) {
  current = item;
  drawGallery();
  showSettings();
  showNotes();
  paint();
  if (!item.preview && !item.waiting && !item.failed) load(item);
}

/** @param {Item} item */
function remove(item) {
  item.waiting?.abort();
  const at = items.indexOf(item);
  items.splice(at, 1);
  item.entry.remove();
  if (current === item) current = items[Math.min(at, items.length - 1)] ?? null;
  find("#work").hidden = !current;
  find("#drop").classList.toggle("small", Boolean(current));
  if (current) show(current);
  find(current ? "#gallery [aria-current=true]" : "#files")?.focus();
}

function drawGallery() {
  find("#gallery").hidden = items.length < 2;
  for (const item of items) showEntry(item);
  find("#save-all").hidden = find("#spread").hidden = items.length < 2;
}

/** @param {Item} item */
function galleryEntry(item) {
  const entry = document.createElement("li");
  const thumb = button("thumb", item.file.name, () => show(item));
  const cross = button("remove", `Remove ${item.file.name}`, () => remove(item));
  cross.textContent = "×";
  entry.append(thumb, cross);
  return entry;
}

/**
 * Show in the gallery what has become of a photo; the buttons stay, and with them the focus.
 * @param {Item} item
 */
function showEntry(item) {
  const thumb = /** @type {HTMLElement} */ (item.entry.querySelector(".thumb"));
  thumb.setAttribute("aria-current", String(item === current));
  thumb.setAttribute("aria-label", item.file.name + (item.failed ? " (failed)" : ""));
  thumb.replaceChildren(item.failed ? "Failed" : item.thumb);
}

/**
 * @param {string} kind
 * @param {string} label
 * @param {() => void} act
 */
function button(kind, label, act) {
  const made = Object.assign(document.createElement("button"), { type: "button", className: kind });
  made.setAttribute("aria-label", label);
  made.addEventListener("click", act);
  return made;
}

// --- Settings ----------------------------------------------------------------------------------------------

/**
 * Change settings of the current photo, and ask for a new proposal of the network, or just merge again.
 * @param {Partial<Chosen>} settings
 */
function change(settings, asks = false) {
  Object.assign(current.settings, settings);
  showSettings();
  if (asks) load(current);
  else paint();
}

/** @param {string} network */
function changeNetwork(network) {
  const looks = rows.filter((row) => row.network === network).map((row) => row.look);
  const look = looks.includes(current.settings.look) ? current.settings.look : looks[0];
  change({ network, look, vividness: null, render_factor: "" }, true);
}

function spread() {
  for (const item of items) {
    if (item === current) continue;
    Object.assign(item.settings, current.settings);
    load(item);
  }
}

function showSettings() {
  const { settings, preview } = current;
  const row = rows.find(({ look, network }) => look === settings.look && network === settings.network);
  if (find("#looks").dataset.network !== settings.network) showLooks(settings.network);
  find(`#looks [value=${settings.look}]`).checked = true;
  for (const name of ["vividness", "saturation", "warmth"]) {
    const value = settings[name] ?? preview?.answer.vividness ?? row?.vividness ?? 0;
    showValue(name, value, `${Math.round(100 * value)} %`);
  }
  find("#vividness").closest(".slider").classList.toggle("off", Boolean(preview && !preview.vivid));
  find("#auto").checked = settings.render_factor === "auto";
  find("#render_factor").disabled = settings.render_factor === "auto";
  showFactor(Number(settings.render_factor) || (preview?.answer.render_factor ?? row?.render_factor));
  for (const name of ["network", "format"]) find(`#${name}`).value = settings[name];
  for (const name of ["mark", "strip"]) find(`#${name}`).checked = settings[name];
}

/** @param {number} value */
function showFactor(value) {
  showValue("render_factor", value, String(value));
}

/**
 * Show what a slider stands at, to eyes and ears.
 * @param {string} name
 * @param {number} value
 * @param {string} text
 */
function showValue(name, value, text) {
  find(`#${name}`).value = value;
  find(`#${name}`).setAttribute("aria-valuetext", text);
  find(`output[for=${name}]`).textContent = text;
}

// --- The preview -------------------------------------------------------------------------------------------

/**
 * Ask the server for the chroma of a photo with its settings.
 * @param {Item} item
 */
async function load(item) {
  item.waiting?.abort();
  const waiting = (item.waiting = new AbortController());
  item.stale = true;
  if (item === current) showStatus();
  try {
    const { look, network, render_factor } = item.settings;
    const path = `api/preview?${query({ look, network, render_factor })}`;
    const answer = await (await ask(path, { method: "POST", body: item.file, headers: TYPE, signal: waiting.signal })).json();
    item.preview = new Preview(answer, await pixelsOf(answer.picture));
    item.settings.vividness ??= answer.vividness;
    item.failed = "";
    item.stale = false;
  } catch (error) {
    if (isAbort(error)) return;
    item.failed = error instanceof Error ? error.message : String(error);
    complain(error instanceof Told ? new Told(`${item.file.name}: ${error.message}`) : error);
  }
  item.waiting = null;
  drawThumb(item);
  drawGallery();
  if (item === current) show(item);
}

const TYPE = { "Content-Type": "application/octet-stream" };

/** @param {Item} item */
function drawThumb(item) {
  if (!item.preview) return;
  const { width, height } = item.preview.picture;
  const full = new OffscreenCanvas(width, height);
  drawingOn(full).putImageData(coloredOf(item.preview, item.settings), 0, 0);
  const scale = Math.max(THUMB / width, THUMB / height);
  const context = drawingOn(item.thumb);
  context.imageSmoothingQuality = "high";
  context.drawImage(full, (THUMB - scale * width) / 2, (THUMB - scale * height) / 2, scale * width, scale * height);
}

/** Merge and draw before the next frame of the screen, once however often it is asked for. */
function paint() {
  showStatus();
  if (painting) return;
  painting = true;
  requestAnimationFrame(() => {
    painting = false;
    const preview = current?.preview;
    find("#view").classList.toggle("empty", !preview);
    if (!preview) return;
    draw("#before", preview.picture);
    draw("#after", coloredOf(preview, current.settings));
  });
}

/**
 * @param {Preview} preview
 * @param {Chosen} settings
 */
function coloredOf(preview, settings) {
  return new ImageData(preview.colored(settings), preview.picture.width, preview.picture.height);
}

/**
 * @param {string} selector
 * @param {ImageData} picture
 */
function draw(selector, picture) {
  const canvas = find(selector);
  canvas.width = picture.width;
  canvas.height = picture.height;
  drawingOn(canvas).putImageData(picture, 0, 0);
}

function showStatus() {
  const { waiting, failed, preview, file } = current;
  find("#view").classList.toggle("busy", Boolean(waiting));
  find("#view").hidden = Boolean(failed) && !preview;
  find("#save").disabled = find("#compare").disabled = !preview || Boolean(failed);
  const size = preview ? `${preview.answer.width} × ${preview.answer.height} pixels` : "";
  const text = waiting ? `Coloring ${file.name} …` : failed ? failed : `${file.name}, ${size}`;
  if (find("#status").textContent !== text) find("#status").textContent = text;
  find("#after").setAttribute("aria-label", `${file.name}, colored`);
}

function showNotes() {
  /** @type {string[]} */
  const notes = current.preview?.answer.notes ?? [];
  find("#notes").replaceChildren(...notes.map((note) => Object.assign(document.createElement("li"), { textContent: note })));
}

// --- Saving ------------------------------------------------------------------------------------------------

/**
 * The result at full quality, with its name.
 * @param {Item} item
 */
async function result(item) {
  const response = await ask(`api/photo?${query(item.wanted)}`, { method: "POST", body: item.file, headers: TYPE });
  const suffix = /\.\w+(?="$)/.exec(response.headers.get("Content-Disposition") ?? "")?.[0] ?? "";
  return { name: item.resultName + suffix, blob: await response.blob() };
}

async function save() {
  calm();
  await whileBusy("#save", "Saving …", async () => {
    const { name, blob } = await result(current);
    download(blob, name);
    say(`Saved ${name}`);
  });
}

async function saveAll() {
  calm();
  await whileBusy("#save-all", "Saving all …", async () => {
    const files = [];
    for (const item of items.filter((one) => !one.failed)) {
      find("#save-all").textContent = `Saving ${files.length + 1} of ${items.length} …`;
      files.push(await result(item));
    }
    const names = distinct(files.map(({ name }) => name));
    download(await zip(files.map(({ blob }, i) => ({ name: names[i], blob }))), "colored-photos.zip");
    say(`Saved ${files.length} photos`);
  });
}

/**
 * @param {string} selector
 * @param {string} text
 * @param {() => Promise<void>} work
 */
async function whileBusy(selector, text, work) {
  const pressed = find(selector);
  if (pressed.ariaDisabled === "true") return;
  const label = pressed.textContent;
  pressed.ariaDisabled = "true"; // a button disabled outright would lose the focus
  pressed.textContent = text;
  say(text);
  try {
    await work();
  } catch (error) {
    complain(error);
  }
  pressed.ariaDisabled = "false";
  pressed.textContent = label;
}

// --- The contact sheet -------------------------------------------------------------------------------------

async function compare() {
  const item = current;
  const { look, network, vividness, saturation, warmth } = item.settings;
  const waiting = new AbortController();
  find("#sheet").addEventListener("close", () => waiting.abort(), { once: true });
  find("#sheet-view").hidden = true;
  find("#sheet-choices").replaceChildren();
  find("#sheet-status").textContent = "Coloring it at each size …";
  find("#sheet").showModal();
  try {
    const settings = { look, network, saturation, warmth, vividness: item.preview?.vivid ? vividness : null, try: COMPARED };
    const response = await ask(`api/sheet?${query(settings)}`, { method: "POST", body: item.file, headers: TYPE, signal: waiting.signal });
    const image = find("#sheet-image");
    URL.revokeObjectURL(image.src);
    image.src = URL.createObjectURL(await response.blob());
    image.alt = `${item.file.name} at render factors ${COMPARED}`;
    find("#sheet-view").hidden = false;
    find("#sheet-status").textContent = "Take the one you like.";
    find("#sheet-choices").replaceChildren(...COMPARED.split(",").map((factor) => choice(factor)));
  } catch (error) {
    if (isAbort(error)) return; // closed, perhaps opened again for another photo
    find("#sheet").close();
    complain(error);
  }
}

/** @param {string} factor */
function choice(factor) {
  const made = button("quiet", `Take render factor ${factor}`, () => {
    find("#sheet").close();
    change({ render_factor: factor }, true);
  });
  made.textContent = factor;
  return made;
}
