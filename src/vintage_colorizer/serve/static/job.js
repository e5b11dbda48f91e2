// @ts-check
// One result of a film, or a job on its way to be one.

import { capitalized, clock } from "./dom.js";
import { say } from "./messages.js";
import { tell } from "./notify.js";
import { showProgress } from "./progress.js";
import { local, t } from "./words.js";

/** @import { Job } from "./api.js" */

const BETWEEN = 100; // frames, from one picture of a film to the next

/** @param {Job} job */
export const isOnItsWay = ({ state }) => state === "waiting" || state === "coloring";

export class JobRow {
  state = "";
  pictured = 0; // frames that were done when it was asked for a picture last

  /**
   * @param {Job} job
   * @param {() => void} remove
   */
  constructor(job, remove) {
    this.title = titleOf(job);
    this.item = document.createElement("li");
    this.text = document.createElement("p");
    this.bar = document.createElement("progress");
    this.bar.setAttribute("aria-label", t("progress_of", { name: this.title }));
    this.button = Object.assign(document.createElement("button"), { type: "button", className: "quiet" });
    this.button.addEventListener("click", remove);
    const head = Object.assign(document.createElement("h3"), { textContent: this.title });
    this.picture = Object.assign(document.createElement("img"), { hidden: true, alt: "" });
    this.picture.addEventListener("load", () => (this.picture.hidden = false));
    this.item.append(head, this.text, this.picture, this.bar, this.button);
  }

  /** @param {Job} job */
  show(job) {
    const words = wordsOf(job);
    const running = isOnItsWay(job);
    showProgress(this.text, this.bar, words, job.frames_done, running ? job.frames ?? 0 : -1);
    const what = t(running ? "stop" : "remove");
    this.button.textContent = what;
    this.button.setAttribute("aria-label", t("act_on", { act: what, name: this.title }));
    this.item.classList.toggle("failed", job.state === "failed");
    this.showPicture(job);
    if (job.state !== this.state) this.changed(job, words);
    this.state = job.state;
  }

  /**
   * A frame in its new colors, now and then while the film is colored.
   * @param {Job} job
   */
  showPicture({ id, state, stage, frames_done }) {
    if (state !== "coloring") this.picture.hidden = true;
    else if (stage === "coloring" && frames_done >= this.pictured + BETWEEN) {
      this.pictured = frames_done;
      this.picture.src = `api/jobs/${id}/picture?at=${frames_done}`; // another address each time, so that it is loaded
    }
  }

  /**
   * @param {Job} job
   * @param {string} words
   */
  changed(job, words) {
    say(t("of_film", { name: job.name, words }));
    if (job.state === "done") this.text.after(player(job), link(job));
    if (this.state && !isOnItsWay(job)) tell(t(job.state === "done" ? "film_done" : "film_failed", { name: job.name }));
  }
}

/** @param {Job} job */
function titleOf({ options }) {
  const { start = 0, stop, preview, look } = options;
  const end = preview ? start + preview : stop;
  const part = start || end ? t("part", { start: clock(start), end: end ? clock(end) : t("the_end") }) : t("whole_film");
  return [part, look && local(`look.${look}`, capitalized(look))].filter(Boolean).join(", ");
}

/** @param {Job} job */
function wordsOf(job) {
  const far = job.frames ? `, ${Math.floor((100 * job.frames_done) / job.frames)} %` : "";
  const left = job.seconds_left === null ? "" : `, ${t("time_left", { time: duration(job.seconds_left) })}`;
  if (job.state === "waiting") return t("waiting_turn");
  if (job.state === "coloring") return job.stage ? t(job.stage) + far + left : t("beginning");
  return job.state === "failed" ? job.message : `${[t("done"), ...job.notes].join(". ")}.`;
}

/** @param {Job} job */
function player(job) {
  const video = Object.assign(document.createElement("video"), { controls: true, preload: "metadata", src: job.result });
  video.setAttribute("aria-label", t("film_colored", { name: job.name }));
  return video;
}

/** @param {Job} job */
function link(job) {
  const made = Object.assign(document.createElement("a"), { href: job.result, download: job.result_name, className: "primary" });
  made.textContent = t("save_file", { name: job.result_name });
  return made;
}

/** @param {number} seconds */
function duration(seconds) {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
