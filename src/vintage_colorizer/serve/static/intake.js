// @ts-check
// Files as people bring them: chosen, dropped with whole folders, or pasted.

import { Told } from "./messages.js";
import { t } from "./words.js";

/** @typedef {"photo" | "film" | ""} Kind */

const PHOTOS = /\.(jpe?g|jpe|jfif|png|tiff?|webp|avif|hei[cf]|gif|bmp|jp2|j2k|jpx|p[bgp]m|pnm)$/i;
const FILMS = /\.(mp4|m4v|mov|mkv|webm|avi|wmv|mpe?g|m2?ts|mts|vob|dv|mxf|flv|ogv|3gp)$/i;
const ASIDE = /^[.@#]/; // folders in which NAS boxes and systems keep thumbnails and deleted files

/**
 * What a file is, by its name and by what the browser holds it for; "" if neither tells.
 * @param {File} file
 * @returns {Kind}
 */
export function kindOf({ name, type }) {
  if (type.startsWith("video/") || FILMS.test(name)) return "film";
  return type.startsWith("image/") || PHOTOS.test(name) ? "photo" : "";
}

/**
 * All files of a drop or a paste. Folders are looked through, and of these only photos and films are taken.
 * @param {DataTransfer | null} transfer
 * @throws {Told} if there is nothing to take
 */
export async function filesOf(transfer) {
  const entries = [...(transfer?.items ?? [])].map((item) => item.webkitGetAsEntry?.()); // before anything is awaited
  const loose = [...(transfer?.files ?? [])];
  if (!entries.some((entry) => entry?.isDirectory)) return loose;
  const files = (await Promise.all(entries.map((entry) => (entry ? within(entry) : [])))).flat();
  if (!files.length) throw new Told(t("empty_folder"));
  return files;
}

/**
 * The photos and films of a folder, in the order of their names; or the file itself.
 * @param {FileSystemEntry} entry
 * @returns {Promise<File[]>}
 */
async function within(entry, inside = false) {
  if (entry.isDirectory) {
    if (ASIDE.test(entry.name)) return [];
    const found = await listed(/** @type {FileSystemDirectoryEntry} */ (entry));
    found.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
    return (await Promise.all(found.map((one) => within(one, true)))).flat();
  }
  const file = await new Promise((resolve, reject) => /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject));
  return inside && (!kindOf(file) || file.name.startsWith(".")) ? [] : [file];
}

/**
 * @param {FileSystemDirectoryEntry} folder
 * @returns {Promise<FileSystemEntry[]>}
 */
async function listed(folder) {
  const reader = folder.createReader();
  const found = [];
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // a hundred at a time
    if (!some.length) return found;
    found.push(...some);
  }
}

/**
 * Take what is dropped anywhere on the page, and what is pasted.
 * @param {(files: Promise<File[]>) => void} take
 */
export function acceptAnywhere(take) {
  const { body } = document;
  let depth = 0; // the pointer enters and leaves each element on its way
  const over = (/** @type {number} */ now) => body.classList.toggle("over", (depth = now) > 0);
  body.addEventListener("dragenter", () => over(depth + 1));
  body.addEventListener("dragleave", () => over(depth - 1));
  body.addEventListener("dragover", (event) => event.preventDefault());
  body.addEventListener("drop", (event) => {
    event.preventDefault();
    over(0);
    take(filesOf(event.dataTransfer));
  });
  document.addEventListener("paste", (event) => {
    if (event.clipboardData?.files.length) take(filesOf(event.clipboardData));
  });
}
