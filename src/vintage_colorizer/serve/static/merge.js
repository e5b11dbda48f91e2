// @ts-check
// Chroma merged with luma in the browser, as color.py does it: the answer to a slider needs no network.

/** @import { PhotoPreview } from "./api.js" */
/** @typedef {{first: Int32Array, count: Int32Array, weights: Float32Array, width: number}} Taps */
/** @typedef {{width: number, height: number, data: Uint8ClampedArray}} Picture RGBA */

export const LUMA_WEIGHTS = [0.299, 0.587, 0.114]; // of R', G', B'
export const U_SCALE = 0.492;
export const V_SCALE = 0.877;
export const MAP_SCALE = 32767;

/**
 * Read an int16 plane or several from base64.
 * @param {string} text
 */
export function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return Float32Array.from(new Int16Array(bytes.buffer), (value) => value / MAP_SCALE);
}

// --- Resizing: see color.resize_matrix and color.enlarge_matrix ----------------------------------------------

/**
 * Weights, target x size, of bicubic interpolation (Keys 1981, a = -0.5); shrinking, the kernel widens.
 * @param {number} size
 * @param {number} target
 */
export function resizeMatrix(size, target) {
  const stretch = Math.max(1, size / target);
  const reach = Math.ceil(2 * stretch);
  const matrix = new Float64Array(target * size);
  for (let i = 0; i < target; i++) {
    const center = ((i + 0.5) * size) / target - 0.5;
    const middle = Math.floor(center);
    for (let tap = middle - reach; tap <= middle + reach; tap++) {
      const column = Math.min(size - 1, Math.max(0, tap)); // beyond the ends, the end repeats
      matrix[i * size + column] += cubic(Math.abs(tap - center) / stretch);
    }
  }
  return normalized(matrix, size);
}

/** @param {number} x */
function cubic(x) {
  if (x <= 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

/**
 * Weights, target x size, that enlarge a line of block averages and keep those averages.
 * @param {number} size
 * @param {number} target
 */
export function enlargeMatrix(size, target) {
  const bicubic = resizeMatrix(size, target);
  if (target <= size) return bicubic;
  const averaged = product(averageMatrix(target, size), bicubic, target, size);
  const matrix = product(bicubic, inverse(averaged, size), size, size);
  return normalized(matrix.map((weight) => (Math.abs(weight) < 1e-4 ? 0 : weight)), size);
}

/**
 * Weights, target x size, that average a line over `target` equal stretches.
 * @param {number} size
 * @param {number} target
 */
function averageMatrix(size, target) {
  const matrix = new Float64Array(target * size);
  for (let i = 0; i < target; i++) {
    for (let j = 0; j < size; j++) {
      const overlap = Math.min(((j + 1) * target) / size, i + 1) - Math.max((j * target) / size, i);
      matrix[i * size + j] = Math.max(0, overlap);
    }
  }
  return matrix;
}

/**
 * Each row divided by its sum.
 * @param {Float64Array} matrix
 * @param {number} columns
 */
function normalized(matrix, columns) {
  for (let at = 0; at < matrix.length; at += columns) {
    const row = matrix.subarray(at, at + columns);
    const sum = row.reduce((total, weight) => total + weight, 0);
    row.forEach((weight, j) => (row[j] = weight / sum));
  }
  return matrix;
}

/**
 * left (n x inner) times right (inner x columns); left is mostly zeros.
 * @param {Float64Array} left
 * @param {Float64Array} right
 * @param {number} inner
 * @param {number} columns
 */
function product(left, right, inner, columns) {
  const result = new Float64Array((left.length / inner) * columns);
  left.forEach((factor, at) => {
    if (factor === 0) return;
    const to = Math.floor(at / inner) * columns;
    const from = (at % inner) * columns;
    for (let j = 0; j < columns; j++) result[to + j] += factor * right[from + j];
  });
  return result;
}

/**
 * The inverse of a size x size matrix (Gauss and Jordan); averages of bicubic lines have a strong diagonal.
 * @param {Float64Array} matrix
 * @param {number} size
 */
function inverse(matrix, size) {
  const left = matrix.slice();
  const right = new Float64Array(size * size);
  for (let i = 0; i < size; i++) right[i * size + i] = 1;
  for (let pivot = 0; pivot < size; pivot++) {
    const own = pivot * size;
    const scale = 1 / left[own + pivot];
    for (let j = 0; j < size; j++) {
      left[own + j] *= scale;
      right[own + j] *= scale;
    }
    for (let i = 0; i < size; i++) {
      const factor = left[i * size + pivot];
      if (i === pivot || factor === 0) continue;
      for (let j = 0; j < size; j++) {
        left[i * size + j] -= factor * left[own + j];
        right[i * size + j] -= factor * right[own + j];
      }
    }
  }
  return right;
}

/**
 * For each of `target` positions, where its weights begin and which they are.
 * @param {number} size
 * @param {number} target
 * @returns {Taps}
 */
function taps(size, target) {
  const matrix = enlargeMatrix(size, target);
  const first = new Int32Array(target);
  const count = new Int32Array(target);
  for (let i = 0; i < target; i++) {
    const row = matrix.subarray(i * size, (i + 1) * size);
    first[i] = row.findIndex((weight) => weight !== 0);
    count[i] = row.findLastIndex((weight) => weight !== 0) + 1 - first[i];
  }
  const width = Math.max(...count);
  const weights = new Float32Array(target * width);
  for (let i = 0; i < target; i++) {
    const from = i * size + first[i];
    weights.set(matrix.subarray(from, from + count[i]), i * width);
  }
  return { first, count, weights, width };
}

// --- Merging -------------------------------------------------------------------------------------------------

/** A photo in the page: its picture and the chroma maps the server sent. */
export class Preview {
  /**
   * @param {PhotoPreview} answer
   * @param {Picture} picture of the whole photo, or of a part of it
   * @param {{x: number, y: number, width: number, height: number}} place where in the whole the picture begins, and how large
   *   that is at its scale
   */
  constructor(answer, picture, place = { x: 0, y: 0, width: picture.width, height: picture.height }) {
    this.answer = answer;
    this.picture = picture;
    this.place = place;
    this.vivid = answer.maps.vividness.length > 1;
    this.maps = answer.maps.chroma.map(unpack);
    this.midtone = unpack(answer.maps.midtone);
    this.across = taps(answer.maps.width, place.width);
    this.down = taps(answer.maps.height, place.height);
  }

  /**
   * The colored picture: RGBA of the picture's size.
   * @param {{vividness: number | null, saturation: number, warmth: number}} settings
   */
  colored({ vividness, saturation, warmth }) {
    const { width, height } = this.picture;
    const { adjusted, saturation: own } = this.answer;
    const [red, blue] = adjusted ? this.shifts(vividness, 1, 0) : this.shifts(vividness, saturation * own, warmth);
    const colored = new Uint8ClampedArray(4 * width * height);
    for (let y = 0; y < height; y++) this.mergeRow(colored, y, this.row(red, y), this.row(blue, y));
    return colored;
  }

  /**
   * What the adjusted chroma adds to R' and B', at the size of the maps' height by the picture's width.
   * @param {number | null} vividness
   * @param {number} saturation
   * @param {number} warmth
   */
  shifts(vividness, saturation, warmth) {
    const { width, height, vividness: known, warmth: orange } = this.answer.maps;
    const [from, to, share] = neighbors(known, vividness);
    const size = width * height;
    const red = new Float32Array(size);
    const blue = new Float32Array(size);
    for (let i = 0; i < size; i++) {
      const warm = warmth * this.midtone[i];
      const u = this.maps[from][i] * (1 - share) + this.maps[to][i] * share;
      const v = this.maps[from][size + i] * (1 - share) + this.maps[to][size + i] * share;
      blue[i] = (saturation * u + warm * orange[0]) / U_SCALE;
      red[i] = (saturation * v + warm * orange[1]) / V_SCALE;
    }
    return [this.widened(red), this.widened(blue)];
  }

  /** @param {Float32Array} plane */
  widened(plane) {
    const { width: small, height } = this.answer.maps;
    const width = this.picture.width;
    const { first, count, weights, width: most } = this.across;
    const wide = new Float32Array(width * height);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const at = x + this.place.x;
        const from = y * small + first[at];
        let sum = 0;
        for (let k = 0; k < count[at]; k++) sum += weights[most * at + k] * plane[from + k];
        wide[y * width + x] = sum;
      }
    }
    return wide;
  }

  /**
   * One row of a plane at full size.
   * @param {Float32Array} wide
   * @param {number} y
   */
  row(wide, y) {
    const width = this.picture.width;
    const { first, count, weights, width: most } = this.down;
    const row = new Float32Array(width);
    const at = y + this.place.y;
    for (let k = 0; k < count[at]; k++) {
      const weight = weights[most * at + k];
      const from = (first[at] + k) * width;
      for (let x = 0; x < width; x++) row[x] += weight * wide[from + x];
    }
    return row;
  }

  /**
   * Add shifts to luma; where a color would leave 0..1 the shift shrinks until it fits.
   * @param {Uint8ClampedArray} data rounds what it is given
   * @param {number} y
   * @param {Float32Array} reds
   * @param {Float32Array} blues
   */
  mergeRow(data, y, reds, blues) {
    const { width, data: own } = this.picture;
    const [ofRed, ofGreen, ofBlue] = LUMA_WEIGHTS;
    for (let x = 0; x < width; x++) {
      const at = 4 * (y * width + x);
      const luma = (ofRed * own[at] + ofGreen * own[at + 1] + ofBlue * own[at + 2]) / 255;
      const red = reds[x];
      const blue = blues[x];
      const green = -(ofRed * red + ofBlue * blue) / ofGreen;
      const up = Math.max(red, green, blue) + 1e-12;
      const down = 1e-12 - Math.min(red, green, blue);
      const share = Math.min(1, (1 - luma) / up, luma / down);
      data[at] = 255 * (luma + share * red);
      data[at + 1] = 255 * (luma + share * green);
      data[at + 2] = 255 * (luma + share * blue);
      data[at + 3] = 255;
    }
  }
}

/**
 * Between which two of the known values a value lies, and how far from the first.
 * @param {(number | null)[]} known
 * @param {number | null} value
 */
function neighbors(known, value) {
  if (known.length === 1) return [0, 0, 0];
  const steps = known.map(Number);
  const wanted = Number(value);
  let to = steps.findIndex((step) => step >= wanted);
  to = to < 1 ? (to < 0 ? steps.length - 1 : 1) : to;
  return [to - 1, to, Math.min(1, (wanted - steps[to - 1]) / (steps[to] - steps[to - 1]))];
}
