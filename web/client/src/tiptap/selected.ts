import type { EditorState } from "@tiptap/pm/state";
import { anchorOf } from "../anchors.js";
import type { Anchor } from "../protocol.js";
import type { PositionMap, Range } from "./positions.js";

/** The longest quote that the server takes, in bytes. */
const QUOTE_BYTES_MAX = 2048;

/** The anchor of the selected text; undefined, if no text is selected, or the editor is not bound to a shared document. */
export function selectedAnchor(
  state: EditorState,
  map: PositionMap | undefined,
): { anchor: Anchor; quote: string } | undefined {
  const range = textRange(state);
  const start = range && map?.placeOf(range.from);
  const last = range && map?.placeOf(range.to - 1);
  if (!start || !last) return undefined;
  const anchor = anchorOf(start, { type: last.type, index: last.index + 1 });
  return { anchor, quote: shortened(state.doc.textBetween(range.from, range.to, "\n", " ")) };
}

/** The part of the selection from its first to its last character that is not blank. */
export function textRange({ doc, selection: { from, to } }: EditorState): Range | undefined {
  const found: Range[] = [];
  doc.nodesBetween(from, to, (node, position) => {
    if (node.text === undefined) return;
    const begin = Math.max(from, position);
    const text = node.text.slice(begin - position, to - position);
    if (text.trim() === "") return;
    found.push({ from: begin + text.length - text.trimStart().length, to: begin + text.trimEnd().length });
  });
  const [first, last] = [found[0], found.at(-1)];
  return first && last && { from: first.from, to: last.to };
}

function shortened(quote: string): string {
  const bytes = new TextEncoder().encode(quote);
  if (bytes.length <= QUOTE_BYTES_MAX) return quote;
  // A character that is cut in two is left out.
  return new TextDecoder().decode(bytes.subarray(0, QUOTE_BYTES_MAX), { stream: true });
}
