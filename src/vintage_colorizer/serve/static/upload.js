// @ts-check
// Sends a film in parts, and goes on where it broke off.

import { ask, query, send } from "./api.js";
import { isAbort } from "./messages.js";

/** @import { Reel } from "./api.js" */

const PART = 16 * 2 ** 20; // bytes: proxies may limit a request
const PATIENCE = [1, 2, 5, 10, 20, 30, 60]; // seconds between tries without any progress

/**
 * Announce a film.
 * @param {File} file
 * @returns {Promise<Reel>}
 */
export async function announce({ name, size }) {
  return (await ask(`api/films?${query({ name, size })}`, { method: "POST" })).json();
}

/**
 * Send the rest of a film. Throws Told if that is refused, or fails for minutes; what has come stays on the server.
 * @param {File} file
 * @param {Reel} reel
 * @param {{signal: AbortSignal, sent: (share: number) => void}} options
 */
export async function sendRest(file, reel, { signal, sent }) {
  for (let failed = 0; reel.received < file.size; ) {
    const before = reel.received;
    try {
      reel = await sendPart(file, reel, signal, sent);
      failed = 0;
    } catch (error) {
      if (isAbort(error) || failed >= PATIENCE.length) throw error;
      await new Promise((resolve) => setTimeout(resolve, 1000 * PATIENCE[failed++]));
      signal.throwIfAborted();
      reel = await known(reel);
      if (reel.received > before) failed = 0;
      else if (refused(error)) throw error;
    }
  }
}

/**
 * @param {File} file
 * @param {Reel} reel
 * @param {AbortSignal} signal
 * @param {(share: number) => void} sent
 * @returns {Promise<Reel>}
 */
async function sendPart(file, { id, received }, signal, sent) {
  const part = file.slice(received, received + PART);
  const heard = (/** @type {number} */ share) => sent((received + share * part.size) / file.size);
  return (await send(`api/films/${id}?offset=${received}`, part, { method: "PATCH", signal, sent: heard })).json();
}

/**
 * What the server has of a film now; what it had, if it does not answer.
 * @param {Reel} reel
 * @returns {Promise<Reel>}
 */
async function known(reel) {
  try {
    return (await ask(`api/films/${reel.id}`)).json();
  } catch {
    return reel;
  }
}

/**
 * Whether the server answered, so that another try would end the same way.
 * @param {any} error
 */
const refused = ({ message }) => !String(message).includes("does not answer");
