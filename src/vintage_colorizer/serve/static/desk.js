// @ts-check
// The desk of a film: a still of it, colored as the sliders say, and what the whole film is to become.

import { ask, query, send } from "./api.js";
import { draw, fileOf, pixelsOf } from "./canvas.js";
import { capitalized, clock, showSlider, steady } from "./dom.js";
import { chosenIn, controlFor, rangeOf } from "./fields.js";
import { Preview } from "./merge.js";
import { complain, isAbort } from "./messages.js";
import { local, t } from "./words.js";

/** @import { Choices, LookRow, Settings } from "./api.js" */
/** @typedef {{film: string, at: number, name: string}} Still a frame of a film on the server */

const SHARES = ["vividness", "saturation", "warmth"]; // shown in percent
const OWN = ["at", "look", ...SHARES, "from", "to", "container"]; // that the page has places for
const LEFT_OUT = ["hints", "preview", "rate", "no_resume", "network", "render_factor"];
const CONTAINERS = ["mp4", "mkv", "mov", "webm"];

export class Desk {
  /** @type {Preview | null} */
  preview = null;
  /** @type {Blob | null} the still, in grey */
  still = null;
  waiting = new AbortController();
  lengthKnown = false;

  /**
   * @param {string} film its id
   * @param {any} root where it is shown
   * @param {Choices} known
   * @param {Settings} settings
   */
  constructor(film, root, known, settings) {
    this.film = film;
    this.root = root;
    this.form = /** @type {HTMLFormElement} */ (root.querySelector("form"));
    this.rows = known.looks;
    this.fields = settings.film.properties;
    this.more = Object.keys(this.fields).filter((name) => !OWN.includes(name) && !LEFT_OUT.includes(name));
    this.fill(known.film_look);
    this.listen();
  }

  /** @param {string} name */
  control(name) {
    return /** @type {any} */ (this.form.elements.namedItem(name));
  }

  /** @param {string} look */
  fill(look) {
    for (const one of new Set(this.rows.map((row) => row.look))) this.control("look").append(new Option(local(`look.${one}`, capitalized(one)), one));
    this.control("look").value = look;
    for (const name of SHARES) {
      Object.assign(this.control(name), rangeOf(this.fields[name]));
      this.show(name, this.fields[name].default ?? this.row.vividness ?? 0);
    }
    for (const one of CONTAINERS) this.control("container").append(new Option(one));
    this.root.querySelector(".more").append(...this.more.map((name) => controlFor(name, this.fields[name])));
  }

  /** @returns {LookRow} the look that is chosen */
  get row() {
    return /** @type {LookRow} */ (this.rows.find(({ look }) => look === this.control("look").value));
  }

  listen() {
    for (const slider of this.form.querySelectorAll("input[type=range]")) steady(/** @type {HTMLInputElement} */ (slider));
    for (const name of SHARES) {
      this.control(name).addEventListener("input", () => {
        this.show(name, this.control(name).value);
        this.paint();
      });
    }
    this.control("at").addEventListener("input", () => this.showPlace());
    this.control("at").addEventListener("change", () => this.look());
    this.control("look").addEventListener("change", () => {
      this.show("vividness", this.row.vividness ?? 0);
      this.propose();
    });
  }

  /**
   * Show what a slider stands at, to eyes and ears.
   * @param {string} name
   * @param {number | string} value
   */
  show(name, value) {
    this.write(name, value, `${Math.round(100 * Number(value))} %`);
  }

  showPlace() {
    const { value, max } = this.control("at");
    this.write("at", value, t("time_of", { time: clock(Number(value)), length: clock(Number(max)) }));
  }

  /**
   * @param {string} name
   * @param {number | string} value
   * @param {string} text
   */
  write(name, value, text) {
    const control = this.control(name);
    showSlider(control, control.parentElement.querySelector("output"), value, text);
  }

  get at() {
    return Number(this.control("at").value);
  }

  /** Fetch the still at the place chosen, and color it. */
  async look() {
    await this.wait(async (signal) => {
      const answer = await ask(`api/films/${this.film}/still?${query({ at: this.at })}`, { signal });
      if (!this.lengthKnown) {
        this.control("at").max = Math.max(0, Number(answer.headers.get("X-Length")));
        this.lengthKnown = true;
        this.showPlace();
      }
      this.still = await answer.blob();
      await this.ask(signal);
    });
  }

  /** Color the still anew. */
  propose() {
    return this.wait((signal) => this.ask(signal));
  }

  /** @param {AbortSignal} signal */
  async ask(signal) {
    if (!this.still) return;
    const { look, network } = this.row;
    const answer = await (await send(`api/preview?${query({ look, network })}`, this.still, { signal })).json();
    this.preview = new Preview(answer, await pixelsOf(fileOf(answer.picture)));
    this.paint();
  }

  /**
   * Do work for the still; what is under way for another one is stopped.
   * @param {(signal: AbortSignal) => Promise<void>} work
   */
  async wait(work) {
    this.waiting.abort();
    const { signal } = (this.waiting = new AbortController());
    const { classList } = this.root.querySelector(".still");
    classList.add("busy");
    try {
      await work(signal);
    } catch (error) {
      if (isAbort(error)) return;
      complain(error, this);
    }
    classList.remove("busy");
  }

  paint() {
    if (!this.preview) return;
    const { width, height } = this.preview.picture;
    const [vividness, saturation, warmth] = SHARES.map((name) => Number(this.control(name).value));
    const colored = this.preview.colored({ vividness, saturation, warmth });
    const canvas = this.root.querySelector("canvas");
    draw(canvas, new ImageData(colored, width, height));
    canvas.setAttribute("aria-label", t("film_at", { time: clock(this.at) }));
    this.root.querySelector(".still").classList.remove("empty");
  }

  /** What the film is to become, as the API takes it. */
  get chosen() {
    const { network } = this.row;
    const named = ["look", ...SHARES, "from", "to", "container", ...this.more];
    return { network, ...chosenIn(this.form, named) };
  }
}
