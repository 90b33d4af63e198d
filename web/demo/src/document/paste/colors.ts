import { counted, type LeftOut } from "./leftOut";

/** Colours of text that are no choice of the author. */
const INK = /^(|windowtext|canvastext|black|rgb\(0, 0, 0\)|currentcolor|inherit|initial|unset)$/i;

/** Backgrounds that are none. */
const BLANK = /^(|transparent|none|white|rgb\(255, 255, 255\)|rgba\(.*, 0\)|inherit|initial|unset)$/i;

/** Counts the colours of a text and of the cells of its tables, which a document does not have. Those of links are not counted. */
export function countColors(dom: Document, leftOut: LeftOut): void {
  const probe = dom.createElement("i");
  const normalized = (value: string): string => {
    probe.style.color = "";
    probe.style.color = value;
    return probe.style.color;
  };
  const texts = [...dom.querySelectorAll<HTMLElement>("font[color], span[style], p[style]")]
    .filter((element) => letters(element) && !element.closest("a") && !element.querySelector("a"))
    .map((element) => normalized(element.style.color || (element.getAttribute("color") ?? "")));
  const cells = [...dom.querySelectorAll<HTMLElement>("td, th")].map((cell) =>
    normalized(cell.style.backgroundColor || (cell.getAttribute("bgcolor") ?? "")),
  );
  counted(leftOut, "colour of text", new Set(texts.filter((color) => !INK.test(color))).size);
  counted(leftOut, "colour of cells", new Set(cells.filter((color) => !BLANK.test(color))).size);
}

function letters(element: HTMLElement): boolean {
  return element.textContent.trim() !== "";
}
