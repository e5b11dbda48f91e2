// @ts-check
// One result of a film, or a job on its way to be one.

import { capitalized, clock } from "./dom.js";
import { say } from "./messages.js";
import { tell } from "./notify.js";
import { showProgress } from "./progress.js";

/** @import { Job } from "./api.js" */

/** @type {Record<string, string>} */
const STAGES = { scanning: "Looking through it", coloring: "Coloring", joining: "Putting it together" };

/** @param {Job} job */
export const isOnItsWay = ({ state }) => state === "waiting" || state === "coloring";

export class JobRow {
  state = "";

  /**
   * @param {Job} job
   * @param {() => void} remove
   */
  constructor(job, remove) {
    this.title = titleOf(job);
    this.item = document.createElement("li");
    this.text = document.createElement("p");
    this.bar = document.createElement("progress");
    this.bar.setAttribute("aria-label", `Progress of ${this.title}`);
    this.button = Object.assign(document.createElement("button"), { type: "button", className: "quiet" });
    this.button.addEventListener("click", remove);
    const head = Object.assign(document.createElement("h3"), { textContent: this.title });
    this.item.append(head, this.text, this.bar, this.button);
  }

  /** @param {Job} job */
  show(job) {
    const words = wordsOf(job);
    const running = isOnItsWay(job);
    showProgress(this.text, this.bar, words, job.frames_done, running ? job.frames ?? 0 : -1);
    const what = running ? "Stop" : "Remove";
    this.button.textContent = what;
    this.button.setAttribute("aria-label", `${what} ${this.title}`);
    this.item.classList.toggle("failed", job.state === "failed");
    if (job.state !== this.state) this.changed(job, words);
    this.state = job.state;
  }

  /**
   * @param {Job} job
   * @param {string} words
   */
  changed(job, words) {
    say(`${job.name}: ${words}`);
    if (job.state === "done") this.text.after(player(job), link(job));
    if (this.state && !isOnItsWay(job)) tell(`${job.name}: ${job.state === "done" ? "done" : "failed"}`);
  }
}

/** @param {Job} job */
function titleOf({ options }) {
  const { start = 0, stop, preview, look } = options;
  const end = preview ? start + preview : stop;
  const part = start || end ? `${clock(start)} to ${end ? clock(end) : "the end"}` : "The whole film";
  return [part, look && capitalized(look)].filter(Boolean).join(", ");
}

/** @param {Job} job */
function wordsOf(job) {
  const far = job.frames ? `, ${Math.floor((100 * job.frames_done) / job.frames)} %` : "";
  const left = job.seconds_left === null ? "" : `, ${duration(job.seconds_left)} left`;
  if (job.state === "waiting") return "Waiting for its turn";
  if (job.state === "coloring") return job.stage ? STAGES[job.stage] + far + left : "Beginning";
  return job.state === "failed" ? job.message : `${["Done", ...job.notes].join(". ")}.`;
}

/** @param {Job} job */
function player(job) {
  const video = Object.assign(document.createElement("video"), { controls: true, preload: "metadata", src: job.result });
  video.setAttribute("aria-label", `${job.name}, colored`);
  return video;
}

/** @param {Job} job */
function link(job) {
  const made = Object.assign(document.createElement("a"), { href: job.result, download: job.result_name, className: "primary" });
  made.textContent = `Save ${job.result_name}`;
  return made;
}

/** @param {number} seconds */
function duration(seconds) {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
