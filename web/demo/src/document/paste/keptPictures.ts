import { counted, type LeftOut } from "./leftOut";
import { fromDataUrl, pictureData, PictureError, UNREADABLE, type UploadImage } from "./pictures";

interface Keeping {
  readonly uploadImage: UploadImage | undefined;
  readonly bytesMax: number;
}

/**
 * Gives every picture of pasted content an address that lasts, and removes those for which that is impossible. Pictures with an
 * `https:` address keep it. Returns the work that takes time: uploads, and pictures that are scaled down.
 */
export function keptPictures(
  dom: Document,
  sources: ReadonlyMap<HTMLImageElement, File>,
  keeping: Keeping,
  leftOut: LeftOut,
): Promise<void>[] {
  return [...dom.images].flatMap((picture) => {
    const source = picture.getAttribute("src") ?? "";
    for (const name of ["srcset", "width", "height", "style"]) picture.removeAttribute(name);
    const file = sources.get(picture);
    if (!file && /^https:\/\//i.test(source)) return [];
    if (!file && !keeping.uploadImage && isSmallPicture(source, keeping.bytesMax)) return [];
    if (!file && !/^data:/i.test(source)) {
      leave(picture, leftOut, UNREADABLE);
      return [];
    }
    return [keep(picture, file ?? source, keeping).catch((cause: unknown) => leave(picture, leftOut, reasonOf(cause)))];
  });
}

async function keep(
  picture: HTMLImageElement,
  source: File | string,
  { uploadImage, bytesMax }: Keeping,
): Promise<void> {
  const blob = typeof source === "string" ? await fromDataUrl(source) : source;
  if (!blob) throw new PictureError(UNREADABLE);
  if (!uploadImage) {
    picture.setAttribute("src", await pictureData(blob, bytesMax));
    return;
  }
  const file = blob instanceof File ? blob : new File([blob], "picture", { type: blob.type });
  try {
    picture.setAttribute("src", await uploadImage(file));
  } catch (cause) {
    throw new PictureError("picture that could not be uploaded", { cause });
  }
}

/** Whether an address is the data of a picture that can stay as it is. */
function isSmallPicture(source: string, bytesMax: number): boolean {
  return source.length <= bytesMax && /^data:image\/(png|jpeg|gif|webp|avif|svg\+xml)[;,]/i.test(source);
}

function leave(picture: HTMLImageElement, leftOut: LeftOut, name: string): void {
  counted(leftOut, name);
  picture.remove();
}

function reasonOf(cause: unknown): string {
  return cause instanceof PictureError ? cause.message : UNREADABLE;
}
