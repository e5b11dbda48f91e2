// The photos: each with its own settings, shown as a preview that answers at once, saved at full quality.

import { ask, calm, complain, download, find, query, say, Told } from "./api.js";
import { Preview } from "./merge.js";
import { distinct, zip } from "./zip.js";

const COMPARED = "10,16,24,32,auto";
const THUMB = 176;

/** One photo: its file, its settings, and what the server said. */
class Item {
  constructor(file, settings) {
    this.file = file;
    this.settings = { ...settings };
    this.preview = null;
    this.waiting = null; // aborts the request under way
    this.failed = "";
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

const items = [];
let current = null;
let limits = null;
let rows = []; // looks there are, each with its network
let painting = false;
const fresh = { look: "stable", network: "", render_factor: "", vividness: null, saturation: 1, warmth: 0, format: "", mark: false, strip: false };

export function start(known, health) {
  limits = health.limits;
  rows = known.looks;
  fresh.look = rows.find((row) => row.default).look;
  const networks = [...new Set(rows.map((row) => row.network))];
  fresh.network = networks[0];
  for (const network of networks) find("#network").append(new Option(network));
  find("#network-field").hidden = networks.length < 2;
  showLooks(fresh.network);
  for (const format of known.formats) find("#format").append(new Option(format.toUpperCase(), format));
  listen();
}

/** Offer the looks that a network has. */
function showLooks(network) {
  find("#looks").dataset.network = network;
  find("#looks").replaceChildren(...rows.filter((row) => row.network === network).map(lookChoice));
}

function lookChoice({ look, about }) {
  const label = document.createElement("label");
  const radio = Object.assign(document.createElement("input"), { type: "radio", name: "look", value: look });
  const help = Object.assign(document.createElement("small"), { textContent: about });
  label.append(radio, look[0].toUpperCase() + look.slice(1), help);
  return label;
}

function listen() {
  find("#controls").addEventListener("submit", (event) => {
    event.preventDefault();
    save();
  });
  find("#looks").addEventListener("change", (event) => change({ look: event.target.value, vividness: null }, true));
  for (const name of ["vividness", "saturation", "warmth"]) {
    find(`#${name}`).addEventListener("input", (event) => change({ [name]: Number(event.target.value) }));
  }
  find("#render_factor").addEventListener("input", (event) => showFactor(event.target.value));
  find("#render_factor").addEventListener("change", (event) => change({ render_factor: event.target.value }, true));
  find("#auto").addEventListener("change", (event) => {
    change({ render_factor: event.target.checked ? "auto" : find("#render_factor").value }, true);
  });
  find("#network").addEventListener("change", (event) => changeNetwork(event.target.value));
  find("#format").addEventListener("change", (event) => change({ format: event.target.value }));
  for (const name of ["mark", "strip"]) {
    find(`#${name}`).addEventListener("change", (event) => change({ [name]: event.target.checked }));
  }
  find("#split").addEventListener("input", (event) => {
    find("#view").style.setProperty("--split", `${event.target.value}%`);
    event.target.setAttribute("aria-valuetext", `${event.target.value} %`);
  });
  find("#reset").addEventListener("click", () => change(fresh, true));
  find("#spread").addEventListener("click", spread);
  find("#save-all").addEventListener("click", saveAll);
  find("#compare").addEventListener("click", compare);
  find("#sheet-close").addEventListener("click", () => find("#sheet").close());
}

// --- Which photo -------------------------------------------------------------------------------------------

export function add(files) {
  calm();
  const settings = current?.settings ?? fresh;
  const added = [];
  for (const file of files) {
    if (file.size > limits.megabytes * 1e6) complain(new Told(`${file.name} is over the server's limit of ${limits.megabytes} MB.`));
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

function show(item) {
  current = item;
  drawGallery();
  showSettings();
  showNotes();
  paint();
  if (!item.preview && !item.waiting && !item.failed) load(item);
}

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

function galleryEntry(item) {
  const entry = document.createElement("li");
  const thumb = button("thumb", item.file.name, () => show(item));
  const cross = button("remove", `Remove ${item.file.name}`, () => remove(item));
  cross.textContent = "×";
  entry.append(thumb, cross);
  return entry;
}

/** Show in the gallery what has become of a photo; the buttons stay, and with them the focus. */
function showEntry(item) {
  const thumb = item.entry.querySelector(".thumb");
  thumb.setAttribute("aria-current", String(item === current));
  thumb.setAttribute("aria-label", item.file.name + (item.failed ? " (failed)" : ""));
  thumb.replaceChildren(item.failed ? "Failed" : item.thumb);
}

function button(kind, label, act) {
  const made = Object.assign(document.createElement("button"), { type: "button", className: kind });
  made.setAttribute("aria-label", label);
  made.addEventListener("click", act);
  return made;
}

// --- Settings ----------------------------------------------------------------------------------------------

/** Change settings of the current photo; `ask` for a new proposal of the network, or just merge again. */
function change(settings, asks = false) {
  Object.assign(current.settings, settings);
  showSettings();
  if (asks) load(current);
  else paint();
}

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
  if (find("#looks").dataset.network !== settings.network) showLooks(settings.network);
  find(`#looks [value=${settings.look}]`).checked = true;
  for (const name of ["vividness", "saturation", "warmth"]) {
    const value = settings[name] ?? preview?.answer.vividness ?? 0.5;
    showValue(name, value, `${Math.round(100 * value)} %`);
  }
  find("#vividness").closest(".slider").classList.toggle("off", Boolean(preview && !preview.vivid));
  find("#auto").checked = settings.render_factor === "auto";
  find("#render_factor").disabled = settings.render_factor === "auto";
  const factor = preview?.answer.render_factor ?? 16;
  showFactor(Number(settings.render_factor) || factor);
  for (const name of ["network", "format"]) find(`#${name}`).value = settings[name];
  for (const name of ["mark", "strip"]) find(`#${name}`).checked = settings[name];
}

function showFactor(value) {
  showValue("render_factor", value, String(value));
}

/** Show what a slider stands at, to eyes and ears. */
function showValue(name, value, text) {
  find(`#${name}`).value = value;
  find(`#${name}`).setAttribute("aria-valuetext", text);
  find(`output[for=${name}]`).textContent = text;
}

// --- The preview -------------------------------------------------------------------------------------------

/** Ask the server for the chroma of a photo with its settings. */
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
    if (error.name === "AbortError") return;
    item.failed = error.message;
    complain(error instanceof Told ? new Told(`${item.file.name}: ${error.message}`) : error);
  }
  item.waiting = null;
  drawThumb(item);
  drawGallery();
  if (item === current) show(item);
}

const TYPE = { "Content-Type": "application/octet-stream" };

async function pixelsOf(address) {
  const image = new Image();
  image.src = address;
  await image.decode();
  const canvas = new OffscreenCanvas(image.width, image.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, image.width, image.height);
}

function drawThumb(item) {
  if (!item.preview) return;
  const { width, height } = item.preview.picture;
  const full = new OffscreenCanvas(width, height);
  full.getContext("2d").putImageData(new ImageData(item.preview.colored(item.settings), width, height), 0, 0);
  const scale = Math.max(THUMB / width, THUMB / height);
  const context = item.thumb.getContext("2d");
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
    draw("#after", new ImageData(preview.colored(current.settings), preview.picture.width, preview.picture.height));
  });
}

function draw(selector, picture) {
  const canvas = find(selector);
  canvas.width = picture.width;
  canvas.height = picture.height;
  canvas.getContext("2d").putImageData(picture, 0, 0);
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
  const notes = current.preview?.answer.notes ?? [];
  find("#notes").replaceChildren(...notes.map((note) => Object.assign(document.createElement("li"), { textContent: note })));
}

// --- Saving ------------------------------------------------------------------------------------------------

/** The result at full quality, with its name. */
async function result(item) {
  const response = await ask(`api/photo?${query(item.wanted)}`, { method: "POST", body: item.file, headers: TYPE });
  const suffix = /\.\w+(?="$)/.exec(response.headers.get("Content-Disposition"))[0];
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
    if (error.name === "AbortError") return; // closed, perhaps opened again for another photo
    find("#sheet").close();
    complain(error);
  }
}

function choice(factor) {
  const made = button("quiet", `Take render factor ${factor}`, () => {
    find("#sheet").close();
    change({ render_factor: factor }, true);
  });
  made.textContent = factor;
  return made;
}
