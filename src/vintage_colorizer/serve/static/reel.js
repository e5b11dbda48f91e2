// @ts-check
// One film of the list: how it is sent, its desk, and what has been made of it.

import { ask, query } from "./api.js";
import { clock } from "./dom.js";
import { Desk } from "./desk.js";
import { showProgress } from "./progress.js";
import { JobRow } from "./job.js";
import { t } from "./words.js";

/** @import { Choices, Job, Reel, Settings } from "./api.js" */
/** @import { Still } from "./desk.js" */
/**
 * What a film asks of the list that it is in.
 * @typedef {{refresh: () => void, remove: (reel: Reel) => void, correct: (still: Blob, of: Still) => void,
 *   attempt: (work: () => Promise<void>, about: object) => Promise<void>}} Shelf
 */

const TRY_SECONDS = 10;

export class ReelCard {
  /** @type {Desk | null} */
  desk = null;
  sending = false; // by this tab
  /** @type {Map<string, JobRow>} */
  jobs = new Map();

  /**
   * @param {Reel} reel
   * @param {Shelf} shelf
   */
  constructor(reel, shelf) {
    this.reel = reel;
    this.shelf = shelf;
    const template = /** @type {HTMLTemplateElement} */ (document.querySelector("#reel"));
    const copy = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
    this.item = /** @type {any} */ (copy.firstElementChild);
    this.part("h2").textContent = reel.name;
    this.part("progress").setAttribute("aria-label", t("progress_of", { name: reel.name }));
    this.part("form").setAttribute("aria-label", t("how_to_color", { name: reel.name }));
    this.part(".results").setAttribute("aria-label", t("results_of", { name: reel.name }));
    this.part("[data-act=remove]").setAttribute("aria-label", t("remove_film", { name: reel.name }));
    this.listen();
  }

  /** @param {string} selector */
  part(selector) {
    return this.item.querySelector(selector);
  }

  listen() {
    const act = (/** @type {string} */ name, /** @type {() => void} */ work) =>
      this.part(`[data-act=${name}]`).addEventListener("click", work);
    act("remove", () => this.shelf.remove(this.reel));
    act("try", () => this.color({ from: String(this.desk?.at ?? 0), to: "", preview: TRY_SECONDS }));
    act("correct", () => this.correct());
    act("forget", () => this.forget());
    this.part("form").addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      this.color({});
    });
  }

  /**
   * Show how much of it is here; once that is all, its desk.
   * @param {Reel} reel
   * @param {Choices} known
   * @param {Settings} settings
   */
  show(reel, known, settings) {
    this.reel = reel;
    const whole = reel.received === reel.size;
    if (!this.sending && !whole) this.tell(t("partly_here", { percent: percent(reel) }), -1);
    if (!whole) return;
    this.tell("", -1);
    this.part(".desk").hidden = false;
    if (!this.desk) {
      this.desk = new Desk(reel.id, this.item, known, settings);
      this.desk.look();
    }
    this.part("[data-guided]").hidden = reel.keyframes.length === 0;
    this.part("[data-guided] span").textContent = t("follows_stills", { times: reel.keyframes.map(clock).join(", ") });
  }

  /**
   * @param {string} words
   * @param {number} share of the work that is done; below 0 if there is none
   */
  tell(words, share) {
    showProgress(this.part(".state"), this.part("progress"), words, share, share < 0 ? -1 : 1);
    this.part(".state").hidden = !words;
  }

  /** @param {Job[]} jobs those of this film */
  showJobs(jobs) {
    for (const [id, row] of this.jobs) {
      if (jobs.some((job) => job.id === id)) continue;
      row.item.remove();
      this.jobs.delete(id);
    }
    for (const job of jobs) {
      const row = this.jobs.get(job.id) ?? this.addRow(job);
      row.show(job);
    }
  }

  /** @param {Job} job */
  addRow(job) {
    const row = new JobRow(job, () => this.removeJob(job));
    this.jobs.set(job.id, row);
    this.part(".results").prepend(row.item);
    return row;
  }

  /** @param {Record<string, string | number>} changes */
  color(changes) {
    return this.attempt(async () => {
      await ask(`api/films/${this.reel.id}/jobs?${query({ ...this.desk?.chosen, ...changes })}`, { method: "POST" });
    });
  }

  correct() {
    const { desk, reel } = this;
    if (desk?.still) this.shelf.correct(desk.still, { film: reel.id, at: desk.at, name: t("still_name", { name: reel.name, time: clock(desk.at) }) });
  }

  forget() {
    return this.attempt(async () => {
      await ask(`api/films/${this.reel.id}/keyframes`, { method: "DELETE" });
    });
  }

  /** @param {Job} job */
  removeJob(job) {
    return this.attempt(async () => {
      await ask(`api/jobs/${job.id}`, { method: "DELETE" });
      this.part("h2").parentElement.querySelector("button").focus(); // the button pressed is gone
    });
  }

  /** @param {() => Promise<void>} work */
  async attempt(work) {
    await this.shelf.attempt(work, this);
    this.shelf.refresh();
  }
}

/** @param {Reel} reel */
const percent = ({ received, size }) => Math.floor((100 * received) / size);
