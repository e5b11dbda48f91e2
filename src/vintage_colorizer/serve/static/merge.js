// Chroma merged with luma in the browser, as color.py does it: the answer to a slider needs no network.

const LUMA = [0.299, 0.587, 0.114]; // of R', G', B'
const U_SCALE = 0.492;
const V_SCALE = 0.877;
const MAP_SCALE = 32767;

/** Read an int16 plane or several from base64. */
function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return Float32Array.from(new Int16Array(bytes.buffer), (value) => value / MAP_SCALE);
}

/** For each of `target` positions: the four samples of `size` around it and their weights (Keys, a = -0.5). */
function taps(size, target) {
  const first = new Int32Array(target * 4);
  const weight = new Float32Array(target * 4);
  for (let i = 0; i < target; i++) {
    const center = ((i + 0.5) * size) / target - 0.5;
    const left = Math.floor(center);
    for (let k = 0; k < 4; k++) {
      first[4 * i + k] = Math.min(size - 1, Math.max(0, left - 1 + k));
      weight[4 * i + k] = cubic(Math.abs(center - (left - 1 + k)));
    }
  }
  return { first, weight };
}

function cubic(x) {
  if (x <= 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

/** A photo in the page: its picture (ImageData) and the chroma maps the server sent. */
export class Preview {
  constructor(answer, picture) {
    this.answer = answer;
    this.picture = picture;
    const { width, height } = picture;
    this.luma = new Float32Array(width * height);
    for (let i = 0; i < this.luma.length; i++) {
      const at = 4 * i;
      const data = picture.data;
      this.luma[i] = (LUMA[0] * data[at] + LUMA[1] * data[at + 1] + LUMA[2] * data[at + 2]) / 255;
    }
    this.maps = answer.maps.chroma.map(unpack);
    this.midtone = unpack(answer.maps.midtone);
    this.across = taps(answer.maps.width, width);
    this.down = taps(answer.maps.height, height);
  }

  /** The colored picture as ImageData. */
  colored({ vividness, saturation, warmth }) {
    const { width, height } = this.picture;
    const [red, blue] = this.shifts(vividness, saturation * this.answer.saturation, warmth);
    const colored = new ImageData(width, height);
    for (let y = 0; y < height; y++) this.mergeRow(colored.data, y, this.row(red, y), this.row(blue, y));
    return colored;
  }

  /** What the adjusted chroma adds to R' and B', at the size of the maps' height by the picture's width. */
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

  widened(plane) {
    const { width: small, height } = this.answer.maps;
    const width = this.picture.width;
    const { first, weight } = this.across;
    const wide = new Float32Array(width * height);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        let sum = 0;
        for (let k = 4 * x; k < 4 * x + 4; k++) sum += weight[k] * plane[y * small + first[k]];
        wide[y * width + x] = sum;
      }
    }
    return wide;
  }

  row(wide, y) {
    const width = this.picture.width;
    const { first, weight } = this.down;
    const [a, b, c, d] = first.subarray(4 * y, 4 * y + 4).map((row) => row * width);
    const [p, q, r, s] = weight.subarray(4 * y, 4 * y + 4);
    const row = new Float32Array(width);
    for (let x = 0; x < width; x++) row[x] = p * wide[a + x] + q * wide[b + x] + r * wide[c + x] + s * wide[d + x];
    return row;
  }

  /** Add shifts to luma; where a color would leave 0..1 the shift shrinks until it fits. */
  mergeRow(data, y, reds, blues) {
    const width = this.picture.width;
    for (let x = 0; x < width; x++) {
      const luma = this.luma[y * width + x];
      const red = reds[x];
      const blue = blues[x];
      const green = -(LUMA[0] * red + LUMA[2] * blue) / LUMA[1];
      const up = Math.max(red, green, blue) + 1e-12;
      const down = 1e-12 - Math.min(red, green, blue);
      const share = Math.min(1, (1 - luma) / up, luma / down);
      const at = 4 * (y * width + x);
      data[at] = 255 * (luma + share * red) + 0.5;
      data[at + 1] = 255 * (luma + share * green) + 0.5;
      data[at + 2] = 255 * (luma + share * blue) + 0.5;
      data[at + 3] = 255;
    }
  }
}

/** Between which two of the known values a value lies, and how far from the first. */
function neighbors(known, value) {
  if (known.length === 1) return [0, 0, 0];
  let to = known.findIndex((one) => one >= value);
  to = to < 1 ? (to < 0 ? known.length - 1 : 1) : to;
  return [to - 1, to, Math.min(1, (value - known[to - 1]) / (known[to] - known[to - 1]))];
}
