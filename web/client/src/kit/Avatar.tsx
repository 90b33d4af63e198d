import type { CSSProperties } from "react";
import { readableOn, safeColor } from "./contrast.js";

const letters = new Intl.Segmenter();

/** The initials of a person in that person's colour. Screen readers ignore it, so the name has to be beside it. */
export function Avatar({ name, color }: { name: string; color: string | undefined }) {
  const background = safeColor(color);
  const style: CSSProperties = { background, color: readableOn(background) };
  return (
    <span className="realtime-avatar" style={style} aria-hidden="true">
      {initials(name)}
    </span>
  );
}

function initials(name: string): string {
  const words = name.trim().split(/\s+/);
  const ends = words.length > 1 ? [words.at(0), words.at(-1)] : [words.at(0)];
  return ends.map((word = "") => firstLetter(word).toLocaleUpperCase()).join("");
}

/** The first letter of a word, which may consist of several characters. */
function firstLetter(word: string): string {
  for (const { segment } of letters.segment(word)) return segment;
  return "";
}
