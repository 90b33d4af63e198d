/** The longest name of a room that the protocol allows, in bytes of UTF-8. */
const BYTES_MAX = 255;

/** The longest title that the server accepts, in characters. */
export const TITLE_LENGTH_MAX = 255;

/** The characters of new names: letters and digits without those that look alike. */
const ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789";

/** The name of a new document: 16 characters with 80 random bits, so that nobody guesses it and no two are the same. */
export function newRoom(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => ALPHABET[byte % ALPHABET.length]).join("");
}

/** Why a name cannot be that of a document, in words; undefined if it can. */
export function roomProblem(name: string): string | undefined {
  if (name === "") return "Give the document a name.";
  if (name.includes(",")) return "A name cannot have a comma.";
  if (/\p{Cc}/u.test(name)) return "A name cannot have control characters, such as line breaks.";
  if (new TextEncoder().encode(name).length > BYTES_MAX) return "This name is too long.";
  return undefined;
}
