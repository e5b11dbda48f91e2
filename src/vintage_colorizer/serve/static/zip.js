// @ts-check
// Several files as one zip, stored as they are: pictures do not get smaller. With zip64 where a number is too large
// for the older records: from 65,535 files or 4 GiB on.

/** @typedef {{name: string, crc: number, size: number, offset: number, made: Date}} Entry */

const MOST = 0xffff; // in the old records these two stand for "see zip64"
const LARGEST = 0xffffffff;
const TABLE = Uint32Array.from({ length: 256 }, (_, value) => {
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

/** @param {Blob} blob */
async function crc32(blob) {
  let crc = LARGEST;
  const reader = blob.stream().getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return (crc ^ LARGEST) >>> 0;
    for (const byte of value) crc = TABLE[(crc ^ byte) & 255] ^ (crc >>> 8);
  }
}

/**
 * A record of little-endian numbers: pairs of size in bytes and value.
 * @param {...[number, number]} fields
 */
function record(...fields) {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [size]) => sum + size, 0)));
  let at = 0;
  for (const [size, value] of fields) {
    if (size === 2) view.setUint16(at, value, true);
    else if (size === 4) view.setUint32(at, value, true);
    else view.setBigUint64(at, BigInt(value), true);
    at += size;
  }
  return view.buffer;
}

/**
 * A number for an old record.
 * @param {number} value
 */
const short = (value) => Math.min(value, LARGEST);

/**
 * The extra field with those numbers that are too large for the old record.
 * @param {...number} values
 */
function zip64(...values) {
  const large = values.filter((value) => value >= LARGEST);
  /** @type {[number, number][]} */
  const fields = large.map((value) => [8, value]);
  return large.length ? record([2, 1], [2, 8 * large.length], ...fields) : new ArrayBuffer(0);
}

/**
 * A time as zips have it, of no zone and in steps of 2 seconds: time and date.
 * @param {Date} made
 */
function timeOf(made) {
  const time = (made.getHours() << 11) | (made.getMinutes() << 5) | (made.getSeconds() >> 1);
  return [time, ((made.getFullYear() - 1980) << 9) | ((made.getMonth() + 1) << 5) | made.getDate()];
}

/**
 * What both headers of an entry have in common.
 * @param {Entry} entry
 * @param {number} title bytes of the name
 * @param {number} extra bytes of the extra field
 * @returns {[number, number][]}
 */
function common({ crc, size, made }, title, extra) {
  const start = [extra ? 45 : 20, 0x800, 0, ...timeOf(made)]; // version, flags (names are UTF-8), stored, time, date
  return [...start.map((value) => /** @type {[number, number]} */ ([2, value])), [4, crc], [4, short(size)], [4, short(size)], [2, title], [2, extra]];
}

/**
 * What stands before the bytes of a file.
 * @param {Entry} entry
 */
export function localHeader(entry) {
  const title = new TextEncoder().encode(entry.name);
  const extra = entry.size >= LARGEST ? zip64(entry.size, entry.size) : zip64();
  return new Blob([record([4, 0x04034b50], ...common(entry, title.length, extra.byteLength)), title, extra]);
}

/**
 * What stands behind all files, from `offset` on.
 * @param {Entry[]} entries
 * @param {number} offset
 */
export function directory(entries, offset) {
  const parts = entries.map((entry) => {
    const title = new TextEncoder().encode(entry.name);
    const extra = zip64(entry.size, entry.size, entry.offset);
    const fields = common(entry, title.length, extra.byteLength);
    const place = record([4, 0x02014b50], [2, 45], ...fields, [2, 0], [2, 0], [2, 0], [4, 0], [4, short(entry.offset)]);
    return new Blob([place, title, extra]);
  });
  const size = parts.reduce((sum, part) => sum + part.size, 0);
  const count = entries.length;
  const large = count >= MOST || size >= LARGEST || offset >= LARGEST;
  const far = [
    record([4, 0x06064b50], [8, 44], [2, 45], [2, 45], [4, 0], [4, 0], [8, count], [8, count], [8, size], [8, offset]),
    record([4, 0x07064b50], [4, 0], [8, offset + size], [4, 1]),
  ];
  const few = Math.min(count, MOST);
  const end = record([4, 0x06054b50], [2, 0], [2, 0], [2, few], [2, few], [4, short(size)], [4, short(offset)], [2, 0]);
  return new Blob([...parts, ...(large ? far : []), end]);
}

/**
 * One zip of files with different names.
 * @param {{name: string, blob: Blob}[]} files
 */
export async function zip(files) {
  /** @type {Blob[]} */
  const parts = [];
  /** @type {Entry[]} */
  const entries = [];
  const made = new Date();
  let offset = 0;
  for (const { name, blob } of files) {
    const entry = { name, crc: await crc32(blob), size: blob.size, offset, made };
    const header = localHeader(entry);
    parts.push(header, blob);
    entries.push(entry);
    offset += header.size + blob.size;
  }
  return new Blob([...parts, directory(entries, offset)], { type: "application/zip" });
}

/**
 * The same names, with a number where one appears again.
 * @param {string[]} names
 */
export function distinct(names) {
  const seen = new Map();
  return names.map((name) => {
    const times = seen.get(name) ?? 0;
    seen.set(name, times + 1);
    return times ? name.replace(/(\.[^.]*)?$/, ` (${times + 1})$1`) : name;
  });
}
