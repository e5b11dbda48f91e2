// @ts-check
// Pixels to and from canvases.

import { partOf } from "./placed.js";

// Canvases are used again, for a browser frees the memory of one only long after nobody needs it.
const holding = new OffscreenCanvas(1, 1);
const reading = new OffscreenCanvas(1, 1);

/**
 * The pixels of a picture.
 * @param {Blob} file
 */
export async function pixelsOf(file) {
  const bitmap = await createImageBitmap(file);
  const pixels = drawnAt(bitmap, bitmap.width, bitmap.height);
  bitmap.close();
  return pixels;
}

/**
 * The file that a data URL holds.
 * @param {string} address
 */
export function fileOf(address) {
  const [kind, text] = address.slice("data:".length).split(";base64,");
  return new Blob([Uint8Array.from(atob(text), (character) => character.charCodeAt(0))], { type: kind });
}

/**
 * A photo as it is colored: turned, and the part of it that is kept; rejected if the browser cannot decode it.
 * @param {Blob} file
 * @param {{rotate: number, crop: string | null}} placed
 * @returns {Promise<ImageBitmap>}
 */
export async function opened(file, { rotate, crop }) {
  const whole = await createImageBitmap(file);
  if (!rotate && !crop) return whole;
  const { width, height } = rotate % 180 ? { width: whole.height, height: whole.width } : whole;
  const [left, top, right, bottom] = partOf(crop).map((one, at) => Math.round(one * (at % 2 ? height : width))); // as the server rounds
  const canvas = new OffscreenCanvas(Math.max(1, right - left), Math.max(1, bottom - top));
  const context = drawingOn(canvas);
  context.imageSmoothingEnabled = false;
  context.translate(width / 2 - left, height / 2 - top);
  context.rotate((rotate * Math.PI) / 180);
  context.drawImage(whole, -whole.width / 2, -whole.height / 2);
  whole.close();
  return canvas.transferToImageBitmap();
}

/**
 * The pixels of a photo, no longer than `longest`; null if the browser cannot decode it.
 * @param {File} file
 * @param {number} longest
 * @param {{rotate: number, crop: string | null}} placed
 */
export async function decoded(file, longest, placed) {
  try {
    const bitmap = await opened(file, placed);
    const scale = Math.min(1, longest / Math.max(bitmap.width, bitmap.height));
    const sides = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(scale * side)));
    const pixels = drawnAt(bitmap, sides[0], sides[1]);
    bitmap.close();
    return pixels;
  } catch {
    return null;
  }
}

/**
 * The pixels of an image, or of a part of it, at a size.
 * @param {ImageBitmap | OffscreenCanvas} image
 * @param {number} width
 * @param {number} height
 * @param {{left: number, top: number, width: number, height: number}} part
 */
export function drawnAt(image, width, height, part = { left: 0, top: 0, width: image.width, height: image.height }) {
  Object.assign(reading, { width, height });
  const context = drawingOn(reading, { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(image, part.left, part.top, part.width, part.height, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

/**
 * A canvas with these pixels on it, until it is asked for again.
 * @param {ImageData} picture
 */
export function canvasOf(picture) {
  draw(holding, picture);
  return holding;
}

/**
 * Pixels as a file.
 * @param {ImageData} picture
 */
export function encoded(picture) {
  return canvasOf(picture).convertToBlob({ type: "image/jpeg", quality: 0.95 });
}

/**
 * Show pixels on a canvas, which takes their size.
 * @param {HTMLCanvasElement | OffscreenCanvas} canvas
 * @param {ImageData} picture
 */
export function draw(canvas, picture) {
  canvas.width = picture.width;
  canvas.height = picture.height;
  drawingOn(canvas).putImageData(picture, 0, 0);
}

/**
 * Where to draw on a canvas.
 * @param {HTMLCanvasElement | OffscreenCanvas} canvas
 * @param {CanvasRenderingContext2DSettings} [settings]
 */
export function drawingOn(canvas, settings) {
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", settings));
}
