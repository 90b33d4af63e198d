import { counted, type LeftOut } from "./leftOut";

/** Colours of text that are no choice of the author. */
const INK = /^(|windowtext|canvastext|black|rgb\(0, 0, 0\)|currentcolor|inherit|initial|unset)$/i;

/** Backgrounds that are none. */
const BLANK = /^(|transparent|none|white|rgb\(255, 255, 255\)|rgba\(.*, 0\)|inherit|initial|unset)$/i;

/** What a text is in that has a colour. */
const TEXTS = "font, :is(span, p, td, th, tr, table)[style]";

/** A cell, and what gives its colour to cells. */
const CELLS = "td, th, tr, tbody, table, col, colgroup";

/** Counts the colours of a text and of the cells of its tables, which a document does not have. Those of links are not counted. */
export function countColors(dom: Document, leftOut: LeftOut): void {
  const probe = dom.createElement("i");
  const normalized = (value: string): string => {
    probe.style.color = "";
    probe.style.color = value;
    return probe.style.color;
  };
  const texts = [...dom.querySelectorAll<HTMLElement>(TEXTS)]
    .filter(hasTextBesideLinks)
    .map((element) => normalized(element.style.color || (element.getAttribute("color") ?? "")));
  const cells = [...dom.querySelectorAll<HTMLElement>(CELLS)].map((cell) =>
    normalized(cell.style.backgroundColor || (cell.getAttribute("bgcolor") ?? "")),
  );
  counted(leftOut, "colour of text", new Set(texts.filter((color) => !INK.test(color))).size);
  counted(leftOut, "colour of cells", new Set(cells.filter((color) => !BLANK.test(color))).size);
}

function hasTextBesideLinks(element: HTMLElement): boolean {
  if (element.closest("a")) return false;
  const linked = [...element.querySelectorAll("a")].reduce((length, link) => length + letters(link), 0);
  return letters(element) > linked;
}

function letters({ textContent }: Element): number {
  return textContent.replace(/\s/g, "").length;
}
