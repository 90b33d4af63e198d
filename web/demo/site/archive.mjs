// The packed client, as `npm pack` would make it, but with the same bytes on every machine: the order of the files, their times and
// owners are fixed, and nothing is compressed, because the output of zlib differs between its versions and between processors.

import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";

/** The time of every file: the one that npm uses. */
const TIME_SECONDS = 499_162_500;

const BLOCK_BYTES = 512;

/** The longest name in the simple form of a header. */
const NAME_BYTES_MAX = 100;

/** The largest stored block of the format of deflate. */
const STORED_BYTES_MAX = 65_535;

/**
 * The package in `folder` as a file that `npm install` accepts: its package.json, and what its field `files` names. The compiler
 * does not remove the results of earlier sources from `dist`, so compiled files without a source in `src` are left out.
 */
export function packageArchive(folder) {
  const { files } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const sources = new Set(filesBelow(folder, "src").map(stemOf));
  const isStale = (path) =>
    path.startsWith("dist/") && /\.(c|m)?(js|ts)(\.map)?$/.test(path) && !sources.has(stemOf(path));
  const paths = ["package.json", ...files]
    .flatMap((path) => filesBelow(folder, path))
    .filter((path) => !isStale(path))
    .sort();
  return gzip(tar(paths.map((path) => ({ name: `package/${path}`, content: readFileSync(join(folder, path)) }))));
}

/** The name of a file without its folder and its endings: `index` of `dist/index.d.ts`. */
function stemOf(path) {
  return basename(path).split(".")[0];
}

/** The files at or below a path, with slashes between folders. */
function filesBelow(folder, path) {
  if (statSync(join(folder, path)).isFile()) return [path];
  return readdirSync(join(folder, path)).flatMap((name) => filesBelow(folder, `${path}/${name}`));
}

/** An archive in the format ustar. */
function tar(files) {
  const blocks = files.flatMap(({ name, content }) => [
    header(name, content.length),
    content,
    Buffer.alloc(-content.length & (BLOCK_BYTES - 1)),
  ]);
  return Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK_BYTES)]);
}

function header(name, size) {
  if (Buffer.byteLength(name) > NAME_BYTES_MAX) throw new Error(`this name is too long for an archive: ${name}`);
  const block = Buffer.alloc(BLOCK_BYTES);
  const octal = (number, at, digits) => block.write(`${number.toString(8).padStart(digits, "0")}\0`, at);
  block.write(name, 0);
  octal(0o644, 100, 7);
  octal(0, 108, 7);
  octal(0, 116, 7);
  octal(size, 124, 11);
  octal(TIME_SECONDS, 136, 11);
  block.write("        ", 148); // the checksum counts its own field as spaces
  block.write("0", 156); // a file
  block.write("ustar\x0000", 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}

/** A gzip file (RFC 1952) whose content is stored, not compressed. */
function gzip(content) {
  const start = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
  const blocks = [];
  for (let from = 0; from < content.length; from += STORED_BYTES_MAX) {
    const part = content.subarray(from, from + STORED_BYTES_MAX);
    const head = Buffer.alloc(5);
    head.writeUInt8(from + part.length === content.length ? 1 : 0, 0);
    head.writeUInt16LE(part.length, 1);
    head.writeUInt16LE(~part.length & 0xffff, 3);
    blocks.push(head, part);
  }
  const end = Buffer.alloc(8);
  end.writeUInt32LE(crc32(content), 0);
  end.writeUInt32LE(content.length, 4);
  return Buffer.concat([start, ...blocks, end]);
}

/** The checksum of gzip. Node has it only from 20.15 on. */
function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}
