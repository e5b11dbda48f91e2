// @ts-check
// One photo of the list: its file, its settings, and what the server said of it.

import { canvasOf, drawingOn } from "./canvas.js";

/** @import { PhotoPreview } from "./api.js" */
/** @import { Preview } from "./merge.js" */
/** @import { Still } from "./desk.js" */
/**
 * What is chosen for a photo, by the names of the API; "" leaves it to the server.
 * @typedef {{look: string, network: string, rotate: number, crop: string | null, render_factor: string | number, vividness: number | null,
 *   saturation: number, warmth: number, format: string, mark: boolean, strip: boolean, hints: Said[], repair: string[],
 *   reference: File | null, marks: Blob | null, still: Still | null}} Chosen
 * @typedef {{x: number, y: number, color: string, radius?: number, by?: string}} Said a color that somebody knows; "" as
 *   long as it is not said
 */

const THUMB = 176; // pixels
const OF_THE_PHOTO = /** @type {const} */ (["rotate", "crop", "repair"]); // these change what is colored
const OF_THE_NETWORK = /** @type {const} */ (["look", "network", "render_factor", ...OF_THE_PHOTO]); // the rest is merged here
const BESIDE = /** @type {const} */ (["reference", "marks"]);
const ADJUSTING = /** @type {const} */ (["saturation", "warmth"]); // around hints this is done by the server

let made = 0;

export class Item {
  number = 1000 * Date.now() + made++; // in the order in which they came, over a reload too
  /** @type {Preview | null} */
  preview = null;
  /** @type {PhotoPreview | null} what the server said last, without its pictures */
  facts = null;
  /** @type {Blob | null} the picture of the preview */
  small = null;
  /** @type {ImageData | null} the photo as the browser decodes it, until there is a preview that shows it too */
  source = null;
  /** @type {AbortController | null} */
  waiting = null; // aborts the request under way
  sent = 0; // how much of the file, 0 to 1
  /** @type {unknown} */
  error = null;
  stale = true; // the settings want another preview
  shown = 0; // when it was looked at last
  selected = false; // to be changed or saved with others

  /**
   * @param {File} file
   * @param {Chosen} settings
   */
  constructor(file, settings) {
    this.file = file;
    this.settings = { ...settings };
    this.thumb = Object.assign(document.createElement("canvas"), { width: THUMB, height: THUMB });
    this.entry = document.createElement("li");
  }

  get vivid() {
    return this.facts !== null && this.facts.vividness !== null;
  }

  /** The settings as the API takes them, all explicit, so that what is saved is what is shown. */
  get wanted() {
    const { vividness, hints, ...rest } = this.settings;
    const factor = this.facts && !this.stale ? this.facts.render_factor : rest.render_factor;
    const aside = { reference: null, marks: null, still: null }; // sent beside the photo, or ours
    return { ...rest, ...aside, render_factor: factor, vividness: this.vivid ? vividness : null, hints: said(hints) };
  }

  /** What to send to be colored again: a small picture is enough for the network, and quick however large the photo is. */
  get sending() {
    const whole = this.settings.render_factor === "auto" || this.settings.repair.length > 0;
    return whole ? this.file : this.small ?? this.file;
  }

  /**
   * How what is sent must still be turned and cropped; the small picture is already.
   * @param {Blob} sending
   */
  placing(sending) {
    const { rotate, crop } = this.settings;
    return sending === this.file ? { rotate, crop } : {};
  }

  /** What is sent beside the photo. */
  get beside() {
    const { reference, marks, repair } = this.settings;
    return { reference, marks: repair.length ? marks : null };
  }

  get resultName() {
    return `${this.file.name.replace(/\.[^.]*$/, "")}-color`;
  }

  /**
   * Take new settings; true if the network has to be asked again.
   * @param {Partial<Chosen>} settings
   */
  take(settings) {
    const before = this.settings;
    this.settings = { ...before, ...settings };
    const [hints, known] = [said(this.settings.hints), said(before.hints)];
    const hinted = String(hints) !== String(known) || (hints.length > 0 && ADJUSTING.some((name) => this.settings[name] !== before[name]));
    const again = hinted || BESIDE.some((name) => this.settings[name] !== before[name]) || OF_THE_NETWORK.some((name) => String(this.settings[name]) !== String(before[name]));
    if (OF_THE_PHOTO.some((name) => String(this.settings[name]) !== String(before[name]))) this.small = this.source = null;
    this.stale ||= again;
    if (!this.stale) this.settings.vividness ??= this.facts?.vividness ?? null; // the look's own, known without asking
    return again || !this.preview;
  }

  /**
   * @param {Preview} preview
   * @param {Blob} sent what it is of: the file, or a small picture of it, which says nothing of the file
   */
  answer(preview, sent) {
    const { width, height, notes } = sent === this.file || !this.facts ? preview.answer : this.facts;
    this.preview = preview;
    const maps = { ...preview.answer.maps, chroma: [], midtone: "" };
    this.facts = { ...preview.answer, width, height, notes, picture: "", maps };
    this.settings.vividness ??= preview.answer.vividness;
    this.error = null;
    if (!this.settings.repair.length) this.source = null; // else it is what was there before the repair
    this.stale = false;
    this.drawThumb();
  }

  /** The preview with the settings; null before there is one. */
  get colored() {
    if (!this.preview) return null;
    const { width, height } = this.preview.picture;
    return new ImageData(this.preview.colored(this.settings), width, height);
  }

  drawThumb() {
    const picture = this.colored;
    if (!picture) return;
    const scale = Math.max(THUMB / picture.width, THUMB / picture.height);
    const [width, height] = [scale * picture.width, scale * picture.height];
    const context = drawingOn(this.thumb);
    context.imageSmoothingQuality = "high";
    context.drawImage(canvasOf(picture), (THUMB - width) / 2, (THUMB - height) / 2, width, height);
  }
}

/**
 * Hints as the API takes them.
 * @param {Said[]} hints
 */
const said = (hints) => hints.filter(({ color }) => color).map(asText);

/** @param {Said} hint */
function asText({ x, y, color, radius, by }) {
  return `${x},${y}${radius ? `,${radius}` : ""}=${color}${by ? ` (${by})` : ""}`;
}
