// @ts-check
// Requests to the server this page comes from.

import { isAbort, Told } from "./messages.js";
import { t } from "./words.js";

/**
 * What the server answers; /api/openapi.json says more.
 * @typedef {{look: string, network: string, about: string, default: boolean, render_factor: number,
 *   vividness: number | null}} LookRow
 * @typedef {{looks: LookRow[], formats: string[], film_look: string}} Choices
 * @typedef {{limits: {megabytes: number, megapixels: number, film_megabytes: number}}} Health
 * @typedef {{description: string, default: any, type?: string, enum?: string[], items?: {enum?: string[]},
 *   minimum?: number, maximum?: number, anyOf?: Field[]}} Field
 * @typedef {{properties: Record<string, Field>}} Schema
 * @typedef {{photo: Schema, film: Schema}} Settings
 * @typedef {{width: number, height: number, vividness: (number | null)[], chroma: string[], midtone: string,
 *   warmth: number[]}} Maps
 * @typedef {{width: number, height: number, render_factor: number, vividness: number | null, saturation: number,
 *   adjusted: boolean, notes: string[], picture: string, maps: Maps}} PhotoPreview
 * @typedef {{x: number, y: number, colors: {color: string, share: number}[]}} Place
 * @typedef {{id: string, film: string, name: string, options: Record<string, any>,
 *   state: "waiting" | "coloring" | "done" | "failed", stage: string | null, frames_done: number, frames: number | null, seconds_left: number | null, message: string, notes: string[],
 *   result: string, result_name: string}} Job
 * @typedef {{id: string, name: string, size: number, received: number, keyframes: number[]}} Reel a film on the server
 */
/** @typedef {(share: number) => void} Sent hears how much of a body has been sent, 0 to 1 */

const MOST_TRIES = 20;

/**
 * Fetch; waits and tries again while the server is busy. Throws Told.
 * @param {string} path
 * @param {RequestInit} options
 */
export const ask = (path, options = {}) => answered(() => fetch(path, options), options.signal);

/**
 * Send a file, as `ask` does; beside it may lie a picture whose colors it is to follow, and one of what is to be filled.
 * @param {string} path
 * @param {Blob} file
 * @param {{method?: string, signal?: AbortSignal, sent?: Sent, beside?: {reference?: Blob | null, marks?: Blob | null}}} options
 */
export function send(path, file, { method = "POST", signal, sent, beside = {} } = {}) {
  const others = Object.entries(beside).flatMap(([name, one]) => (one ? [/** @type {[string, Blob]} */ ([name, one])] : []));
  const body = others.length ? formOf([["file", file], ...others]) : file;
  return answered(() => upload(method, path, body, signal, sent), signal);
}

/** @param {[string, Blob][]} files */
function formOf(files) {
  const form = new FormData();
  for (const [name, file] of files) form.append(name, file);
  return form;
}

/**
 * @param {() => Promise<Response>} reach
 * @param {AbortSignal | null | undefined} signal
 */
async function answered(reach, signal) {
  for (let tries = 1; ; tries++) {
    const response = await reach().catch(unreachable);
    if (response.ok) return response;
    const wait = Number(response.headers.get("Retry-After"));
    if (!(response.status === 503 && wait && tries < MOST_TRIES)) throw new Told(await words(response));
    await new Promise((resolve) => setTimeout(resolve, 1000 * wait));
    signal?.throwIfAborted();
  }
}

/**
 * @param {unknown} error
 * @returns {never}
 */
function unreachable(error) {
  if (isAbort(error)) throw error;
  throw new Told(t("no_answer"));
}

/**
 * As fetch, which cannot tell how far an upload is.
 * @param {string} method
 * @param {string} path
 * @param {Blob | FormData} body
 * @param {AbortSignal | undefined} signal
 * @param {Sent | undefined} sent
 * @returns {Promise<Response>}
 */
function upload(method, path, body, signal, sent) {
  const request = new XMLHttpRequest();
  const stop = () => request.abort();
  signal?.addEventListener("abort", stop);
  return new Promise((resolve, reject) => {
    request.upload.onprogress = (event) => sent?.(event.loaded / event.total);
    request.onerror = () => reject(new TypeError("The request failed."));
    request.onabort = () => reject(new DOMException("Stopped.", "AbortError"));
    request.onload = () => resolve(new Response(request.response, { status: request.status, headers: headersOf(request) }));
    request.responseType = "blob";
    request.open(method, path);
    if (body instanceof Blob) request.setRequestHeader("Content-Type", "application/octet-stream");
    request.send(body);
  }).finally(() => signal?.removeEventListener("abort", stop));
}

/**
 * @param {XMLHttpRequest} request
 * @returns {[string, string][]}
 */
function headersOf(request) {
  const lines = request.getAllResponseHeaders().trim().split("\r\n").filter(Boolean);
  return lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]);
}

/**
 * What the server says is wrong.
 * @param {Response} response
 */
async function words(response) {
  try {
    return (await response.json()).message;
  } catch {
    return t("server_error", { status: response.status });
  }
}

/**
 * A query of the settings that are set; a list is given one by one.
 * @param {Record<string, string | number | boolean | null | undefined | string[]>} settings
 */
export function query(settings) {
  const each = Object.entries(settings).flatMap(([name, value]) => [value].flat().map((one) => [name, one]));
  const set = each.filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== false);
  return new URLSearchParams(set.map(([name, value]) => [String(name), String(value)])).toString();
}

/**
 * Hand a blob to the browser as a download.
 * @param {Blob} blob
 * @param {string} name
 */
export function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
