/** What the protocol allows as a room's name. */
const BYTES_MAX = 255;

/** Why a name cannot be a document's, in words; undefined where it can. */
export function roomProblem(name: string): string | undefined {
  if (name === "") return "Give the document a name.";
  if (name.includes(",")) return "A name cannot have a comma.";
  if (/\p{Cc}/u.test(name)) return "A name cannot have control characters, such as line breaks.";
  if (new TextEncoder().encode(name).length > BYTES_MAX) return "This name is too long.";
  return undefined;
}
