/** The longest name of a room that the protocol allows, in bytes of UTF-8. */
const BYTES_MAX = 255;

/** Why a name cannot be that of a document, in words; undefined if it can. */
export function roomProblem(name: string): string | undefined {
  if (name === "") return "Give the document a name.";
  if (name.includes(",")) return "A name cannot have a comma.";
  if (/\p{Cc}/u.test(name)) return "A name cannot have control characters, such as line breaks.";
  if (new TextEncoder().encode(name).length > BYTES_MAX) return "This name is too long.";
  return undefined;
}
