// @ts-check
// How far something is, in words and as a bar.

/**
 * @param {HTMLElement} text
 * @param {HTMLProgressElement} bar
 * @param {string} words
 * @param {number} done
 * @param {number} total 0 if it is not known yet, below 0 if it is over and needs no bar
 */
export function showProgress(text, bar, words, done, total) {
  if (text.textContent !== words) text.textContent = words;
  bar.hidden = total < 0;
  if (total > 0) {
    bar.max = total;
    bar.value = done;
  } else bar.removeAttribute("value");
}
