/** Uploads a picture and returns its address. An embedding application provides it; without it pictures are kept as data. */
export type UploadImage = (file: File) => Promise<string>;

/** The most that a picture may take in the document, in characters of its data URL. Everybody who opens the document loads them. */
export const PICTURE_BYTES_MAX = 512 * 1024;

/** The lengths of the longer side that are tried for a picture that is too large, in pixels. */
const SIDES = [1_600, 1_200, 900, 640];

const QUALITY = 0.82;

/** Why a picture was left out, as the name of what was left out. */
export class PictureError extends Error {}

/** Whether a browser can show a file in a text. */
export function isPicture({ type }: Blob): boolean {
  return /^image\/(png|jpeg|gif|webp|avif|bmp|svg\+xml)$/.test(type);
}

/**
 * The picture as a data URL of at most `bytesMax` characters, scaled down if it is larger.
 *
 * @throws {PictureError} if it is no picture that this browser can read, or too large at the smallest size.
 */
export async function pictureData(file: Blob, bytesMax: number): Promise<string> {
  if (!isPicture(file)) throw new PictureError("file that is not a picture");
  // Base64 takes four characters for three bytes.
  if ((file.size * 4) / 3 < bytesMax) {
    const data = await dataUrl(file);
    await readable(data);
    if (data.length <= bytesMax) return data;
  }
  const picture = await readable(await dataUrl(file));
  for (const side of SIDES) {
    const data = scaled(picture, side);
    if (data.length <= bytesMax) return data;
  }
  throw new PictureError(`picture larger than ${Math.floor(bytesMax / 1024)} KB`);
}

/** The bytes of a data URL; undefined if it is none of a picture. */
export async function fromDataUrl(address: string): Promise<Blob | undefined> {
  const [, type, base64, data = ""] = /^data:(image\/[\w.+-]+)(?:;[\w=.-]+)*?(;base64)?,(.*)$/is.exec(address) ?? [];
  if (type === undefined) return undefined;
  try {
    const bytes = base64 ? Uint8Array.from(atob(data), (char) => char.charCodeAt(0)) : decodeURIComponent(data);
    return await Promise.resolve(new Blob([bytes], { type: type.toLowerCase() }));
  } catch {
    return undefined;
  }
}

function dataUrl(file: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(typeof reader.result === "string" ? reader.result : "");
    reader.onerror = () => reject(new PictureError(UNREADABLE));
    reader.readAsDataURL(file);
  });
}

/** The name under which pictures are counted that no browser shows. */
export const UNREADABLE = "picture that could not be read";

async function readable(data: string): Promise<HTMLImageElement> {
  const picture = new Image();
  picture.src = data;
  try {
    await picture.decode();
  } catch {
    throw new PictureError(UNREADABLE);
  }
  return picture;
}

function scaled(picture: HTMLImageElement, sideMax: number): string {
  const { naturalWidth, naturalHeight } = picture;
  const factor = Math.min(1, sideMax / Math.max(naturalWidth, naturalHeight));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(naturalWidth * factor));
  canvas.height = Math.max(1, Math.round(naturalHeight * factor));
  canvas.getContext("2d")?.drawImage(picture, 0, 0, canvas.width, canvas.height);
  // A browser that cannot write WebP writes PNG instead, which may be larger than JPEG.
  const webp = canvas.toDataURL("image/webp", QUALITY);
  return webp.startsWith("data:image/webp") ? webp : canvas.toDataURL("image/jpeg", QUALITY);
}
