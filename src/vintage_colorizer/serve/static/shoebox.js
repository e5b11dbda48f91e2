// @ts-check
// The photos and edits of this tab, kept in the browser's own database, so that a reload or Back loses none.

/** @import { Chosen, Item } from "./item.js" */
/** @typedef {{key: [string, number], file: File, settings: Chosen, time: number}} Kept */

const NAME = "vintage-colorizer";
const STORE = "photos";
const A_DAY = 24 * 3600 * 1000; // after which what another tab left is removed

const tab = (sessionStorage[NAME] ??= `${Date.now()}-${Math.random()}`); // outlives a reload, and not the tab
/** @type {Promise<IDBDatabase> | undefined} */
let opened;
let losing = false; // the browser does not let us keep anything

addEventListener("beforeunload", (event) => losing && event.preventDefault());

/** @param {Item} item */
export function keep({ number, file, settings }) {
  return attempt((store) => store.put({ key: [tab, number], file, settings, time: Date.now() }));
}

/** @param {Item} item */
export function drop({ number }) {
  return attempt((store) => store.delete([tab, number]));
}

/** @returns {Promise<Kept[]>} what this tab had before it was loaded again, in order */
export async function kept() {
  /** @type {Kept[]} */
  const all = (await attempt((store) => store.getAll())) ?? [];
  for (const { key, time } of all) {
    if (key[0] !== tab && Date.now() - time > A_DAY) attempt((store) => store.delete(key));
  }
  losing = false;
  return all.filter(({ key }) => key[0] === tab);
}

/**
 * Where the browser keeps nothing (in private windows, or with a full disk) the page works on, but asks before it is left.
 * @param {(store: IDBObjectStore) => IDBRequest} act
 */
async function attempt(act) {
  try {
    const database = await (opened ??= open());
    return await result(act(database.transaction(STORE, "readwrite").objectStore(STORE)));
  } catch (error) {
    console.warn("Photos cannot be kept over a reload:", error);
    losing = true;
    return null;
  }
}

/** @returns {Promise<IDBDatabase>} */
function open() {
  const request = indexedDB.open(NAME, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "key" });
  return result(request);
}

/**
 * @param {IDBRequest} request
 * @returns {Promise<any>}
 */
function result(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
