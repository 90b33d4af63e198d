/** The kinds of pictures in RTF that a browser can show, and their types. */
const TYPES: Readonly<Record<string, string>> = { pngblip: "image/png", jpegblip: "image/jpeg" };

/** The begin or the end of a group of RTF, or an escaped sign, which is neither although it may look like it. */
const BRACE = /\\[^a-z]|[{}]/g;

/**
 * The files of the pictures whose address in a pasted text is one on the disk of the other program (`file:`): a page may not read
 * them, but office programs put their bytes into the RTF beside the HTML. Empty if the RTF has not the same number of pictures.
 * Pictures of a kind that no browser shows are not among the files.
 */
export function filesOfPictures(dom: Document, rtf: string): Map<HTMLImageElement, File> {
  const files = new Map<HTMLImageElement, File>();
  const pictures = [...dom.images];
  if (!pictures.some((picture) => isOnDisk(picture))) return files;
  const found = picturesOf(rtf);
  if (found.length !== pictures.length) return files;
  pictures.forEach((picture, at) => {
    const file = found[at];
    if (file && isOnDisk(picture)) files.set(picture, file);
  });
  return files;
}

function isOnDisk(picture: HTMLImageElement): boolean {
  return /^file:/i.test(picture.getAttribute("src") ?? "");
}

/** The pictures of a text in RTF, in their order; undefined for one that no browser shows. */
function picturesOf(rtf: string): (File | undefined)[] {
  const pictures: (File | undefined)[] = [];
  const group = /\{\\(pict|nonshppict)\b/g;
  for (let begin = group.exec(rtf); begin; begin = group.exec(rtf)) {
    const end = endOfGroup(rtf, begin.index);
    // A second form of the picture before it, for old programs.
    if (begin[1] === "pict") pictures.push(pictureOf(rtf.slice(begin.index + 1, end)));
    group.lastIndex = end;
  }
  return pictures;
}

/** Where a group ends that begins at `begin`: the place after its closing brace, or the end of the text. */
function endOfGroup(rtf: string, begin: number): number {
  let depth = 0;
  BRACE.lastIndex = begin;
  for (let sign = BRACE.exec(rtf); sign; sign = BRACE.exec(rtf)) {
    if (sign[0] === "{") depth += 1;
    else if (sign[0] === "}") depth -= 1;
    if (depth === 0) return BRACE.lastIndex;
  }
  return rtf.length;
}

/**
 * The picture of a group: control words and groups that describe it, then its bytes as hexadecimal digits. Undefined if no browser
 * shows its kind.
 */
function pictureOf(group: string): File | undefined {
  const content = group.replace(/\}$/, "");
  const [, name = ""] = /\\(pngblip|jpegblip)\b/.exec(content) ?? [];
  const word = content.lastIndexOf("\\");
  const [lastWord = ""] = /^\\[a-z]+-?\d* ?/.exec(content.slice(word, word + 40)) ?? [];
  const begin = Math.max(word + lastWord.length, content.lastIndexOf("}") + 1);
  const digits = content.slice(begin).replace(/\s/g, "");
  const type = TYPES[name];
  if (type === undefined || digits === "" || /[^\da-f]/i.test(digits)) return undefined;
  const bytes = Uint8Array.from({ length: digits.length / 2 }, (_none, at) =>
    Number.parseInt(digits.slice(2 * at, 2 * at + 2), 16),
  );
  return new File([bytes], "picture", { type });
}
