// Films: an upload becomes a job on the server. The list of jobs is asked of it, so a reload loses nothing.

import { ask, calm, complain, find, query, say, Told } from "./api.js";

const PREVIEW_SECONDS = 10;
const STAGES = { scanning: "Looking through it", coloring: "Coloring", joining: "Putting it together" };
const EVERY = 1000; // milliseconds between questions while a film is on its way

let limits = null;
let asking = null;
const entries = new Map(); // of the list, by the id of the job

export function start(known, health) {
  limits = health.limits;
  const looks = [...new Set(known.looks.map((row) => row.look))];
  for (const look of looks) find("#film-look").append(new Option(look[0].toUpperCase() + look.slice(1), look));
  find("#film-look").value = "video";
  find("#film-file").addEventListener("change", (event) => {
    add([...event.target.files]);
    event.target.value = "";
  });
  refresh();
}

/** Upload films, one after the other. */
export async function add(files) {
  calm();
  for (const file of files) {
    try {
      await upload(file);
    } catch (error) {
      complain(error instanceof Told ? new Told(`${file.name}: ${error.message}`) : error);
    }
    refresh();
  }
}

function upload(file) {
  if (file.size > limits.film_megabytes * 1e6) throw new Told(`it is over the server's limit of ${limits.film_megabytes} MB.`);
  const preview = find("#film-preview").checked ? PREVIEW_SECONDS : null;
  const request = new XMLHttpRequest(); // fetch cannot tell how far an upload is
  const entry = makeEntry(file.name, () => request.abort());
  say(`Sending ${file.name}`);
  find("#jobs").prepend(entry.item);
  return new Promise((resolve, reject) => {
    request.upload.onprogress = (event) => entry.show(`Sending, ${percent(event.loaded, event.total)}`, event.loaded, event.total);
    request.onerror = () => reject(new Told("the server does not answer, or refused the upload."));
    request.onabort = () => resolve();
    request.onload = () => {
      if (request.status === 202) resolve();
      else reject(new Told(JSON.parse(request.responseText).message));
    };
    request.open("POST", `api/film?${query({ name: file.name, look: find("#film-look").value, preview })}`);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.send(file);
  }).finally(() => takeAway(entry));
}

/** Ask for all jobs, show them, and ask again while one is on its way. */
async function refresh() {
  clearTimeout(asking);
  try {
    const jobs = await (await ask("api/jobs")).json();
    show(jobs);
    if (jobs.some((job) => job.state === "waiting" || job.state === "coloring")) asking = setTimeout(refresh, EVERY);
  } catch (error) {
    complain(error);
    asking = setTimeout(refresh, 10 * EVERY);
  }
}

function show(jobs) {
  for (const [id, entry] of entries) {
    if (jobs.some((job) => job.id === id)) continue;
    takeAway(entry);
    entries.delete(id);
  }
  for (const job of jobs) {
    if (!entries.has(job.id)) {
      const entry = makeEntry(job.name, () => remove(job));
      entries.set(job.id, entry);
      find("#jobs").prepend(entry.item);
    }
    showJob(entries.get(job.id), job);
  }
}

/** Remove an entry of the list; whoever had the focus there finds it at the place for the next film. */
function takeAway({ item }) {
  const focused = item.contains(document.activeElement);
  item.remove();
  if (focused) find("#film-file").focus();
}

function showJob(entry, job) {
  const far = job.frames ? `, ${percent(job.frames_done, job.frames)}` : "";
  const left = job.seconds_left === null ? "" : `, ${duration(job.seconds_left)} left`;
  const texts = {
    waiting: "Waiting for its turn",
    coloring: job.stage ? STAGES[job.stage] + far + left : "Beginning",
    done: ["Done", ...job.notes].join(". ") + ".",
    failed: job.message,
  };
  const running = job.state === "waiting" || job.state === "coloring";
  entry.show(texts[job.state], job.frames_done, running ? job.frames ?? 0 : -1);
  if (entry.state !== job.state) say(`${job.name}: ${texts[job.state]}`);
  entry.state = job.state;
  entry.item.classList.toggle("failed", job.state === "failed");
  if (!running) entry.offer("Remove");
  if (job.state === "done" && !entry.item.querySelector("video")) entry.text.after(player(job), link(job));
}

function player(job) {
  const video = Object.assign(document.createElement("video"), { controls: true, preload: "metadata", src: job.result });
  video.setAttribute("aria-label", `${job.name}, colored`);
  return video;
}

function link(job) {
  const made = Object.assign(document.createElement("a"), { href: job.result, download: job.result_name, className: "primary" });
  made.textContent = `Save ${job.result_name}`;
  return made;
}

async function remove(job) {
  try {
    await ask(`api/jobs/${job.id}`, { method: "DELETE" });
  } catch (error) {
    complain(error);
  }
  refresh();
}

/** An entry of the list: a name, a text, a bar, and a button that stops or removes. */
function makeEntry(name, stop) {
  const item = document.createElement("li");
  const title = Object.assign(document.createElement("h2"), { textContent: name });
  const text = document.createElement("p");
  const bar = document.createElement("progress");
  bar.setAttribute("aria-label", `Progress of ${name}`);
  const button = Object.assign(document.createElement("button"), { type: "button", className: "quiet" });
  const offer = (what) => {
    button.textContent = what;
    button.setAttribute("aria-label", `${what} ${name}`);
  };
  offer("Stop");
  button.addEventListener("click", stop);
  item.append(title, text, bar, button);
  return { item, text, offer, show: (words, done, total) => showProgress(text, bar, words, done, total) };
}

/** total 0: not known yet; below 0: over, no bar. */
function showProgress(text, bar, words, done, total) {
  if (text.textContent !== words) text.textContent = words;
  bar.hidden = total < 0;
  if (total > 0) {
    bar.max = total;
    bar.value = done;
  } else bar.removeAttribute("value");
}

const percent = (done, total) => `${Math.floor((100 * done) / total)} %`;

function duration(seconds) {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
