import { counted, type LeftOut } from "./leftOut";

/** The signs of Excel and of Google Sheets. */
const EXCEL = "meta[content^='Excel.']";
const SPREADSHEET = `${EXCEL}, google-sheets-html-origin, [data-sheets-root]`;

const LIBRE_OFFICE = "meta[content*=LibreOffice]";

const SIDES = ["top", "right", "bottom", "left"] as const;

/** Borders that say no more than those that every cell of a document has. */
const NO_LINE = /^(|none|hidden|initial)$/;
const PLAIN_LINE = /^(solid|dotted)$/;
const THIN = /^(thin|0?\.\d+p[tx]|[01]p[tx])$/;
const INK_OR_GREY = /^(|windowtext|black|white|gray|silver|initial|currentcolor|rgb\((\d+), \2, \2\))$/i;

/** What the classes of Excel say that is kept or named. */
const PROPERTIES = [
  ...["color", "background-color", "font-family", "font-size", "font-style", "font-weight"],
  ...["text-align", "text-decoration"],
  ...SIDES.flatMap((side) => [`border-${side}-style`, `border-${side}-width`, `border-${side}-color`]),
];

/**
 * Whether the content is that of a spreadsheet. LibreOffice Writer puts the text of cells into paragraphs, LibreOffice Calc does not.
 */
export function isSpreadsheet(dom: Document): boolean {
  if (dom.querySelector(SPREADSHEET)) return true;
  return (
    dom.querySelector(LIBRE_OFFICE) !== null && dom.querySelector("body > table") !== null && !dom.querySelector("p")
  );
}

/**
 * Reads the cells of a spreadsheet: writes the styles of classes into the cells, removes hidden rows and columns, and names what a
 * document does not have. Colours are counted by `countColors`.
 *
 * Not named are, because the table says the same without them:
 * - formats of numbers, and the values behind them: the text of a cell is kept as the spreadsheet shows it;
 * - widths of columns and heights of rows: a table of a document is laid out by its content;
 * - thin borders in black, grey or white: every cell of a document has a border;
 * - the font and the font size that most cells have: they are the look of the sheet;
 * - vertical alignment, indentation, rotation and wrapping of text in a cell, and protection of cells.
 */
export function readSpreadsheet(dom: Document, leftOut: LeftOut): void {
  if (dom.querySelector(EXCEL)) writeStylesOfClasses(dom);
  for (const table of dom.querySelectorAll("table")) removeHidden(table, leftOut);
  for (const cell of dom.querySelectorAll<HTMLElement>("td")) readLinkedCell(cell);
  counted(leftOut, "comment", dom.querySelectorAll("[data-sheets-note]").length);
  counted(leftOut, "cell formula", dom.querySelectorAll("[data-sheets-formula], [x\\:fmla]").length);
  const cells = [...dom.querySelectorAll("td")];
  counted(leftOut, "border style of cells", new Set(cells.flatMap(visibleBorders)).size);
  counted(leftOut, "font of cells", besideUsual(cells, fontOf));
  counted(leftOut, "font size of cells", besideUsual(cells, sizeOf));
}

/** Excel describes its cells by classes, whose rules are in a style element: elements first, then classes. */
function writeStylesOfClasses(dom: Document): void {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync([...dom.querySelectorAll("style")].map(({ textContent }) => textContent).join("\n"));
  const rules = [...sheet.cssRules].filter((rule) => rule instanceof CSSStyleRule);
  // The last rule wins, and what an element says itself wins over all rules.
  for (const { selectorText, style } of rules.reverse()) {
    for (const element of dom.querySelectorAll<HTMLElement>(`:is(${selectorText}):is(tr, td, font, span)`)) {
      for (const name of PROPERTIES) {
        const value = style.getPropertyValue(name);
        if (value !== "" && element.style.getPropertyValue(name) === "") element.style.setProperty(name, value);
      }
    }
  }
}

/** Removes the rows and the columns that a spreadsheet hides, and shortens the cells that span them. */
function removeHidden(table: HTMLTableElement, leftOut: LeftOut): void {
  const rows = [...table.rows];
  const hiddenRows = new Set(rows.filter(isHidden));
  const hiddenColumns = new Set<number>();
  const columns = [...table.querySelectorAll("col")].flatMap((column) =>
    Array<boolean>(column.span).fill(isHidden(column)),
  );
  columns.forEach((hidden, index) => hidden && hiddenColumns.add(index));
  if (hiddenRows.size === 0 && hiddenColumns.size === 0) return;
  const lostColumns = new Set<number>();
  /** For each column the row from which on it is free. */
  const freeFrom: number[] = [];
  rows.forEach((row, at) => {
    let column = 0;
    for (const cell of [...row.cells]) {
      while ((freeFrom[column] ?? 0) > at) column += 1;
      const covered = Array.from({ length: cell.colSpan }, (_, offset) => column + offset);
      for (const index of covered) freeFrom[index] = at + cell.rowSpan;
      const width = covered.filter((index) => !hiddenColumns.has(index)).length;
      const height = rows.slice(at, at + cell.rowSpan).filter((other) => !hiddenRows.has(other)).length;
      if (width === 0) {
        if (hasText(cell) && !hiddenRows.has(row)) lostColumns.add(column);
        cell.remove();
      }
      cell.colSpan = Math.max(width, 1);
      if (height < cell.rowSpan) cell.rowSpan = Math.max(height, 1);
      column += covered.length;
    }
  });
  counted(leftOut, "hidden column", lostColumns.size);
  counted(leftOut, "hidden row", [...hiddenRows].filter(hasText).length);
  for (const row of hiddenRows) row.remove();
}

/** The colour and the line of a cell whose whole text is a link are those of the link. */
function readLinkedCell(cell: HTMLElement): void {
  const linked = [...cell.querySelectorAll("a[href]")].map(({ textContent }) => textContent).join("");
  if (linked.trim() === "" || linked.trim() !== cell.textContent.trim()) return;
  for (const element of [cell, ...cell.querySelectorAll<HTMLElement>("span, font")]) {
    element.style.removeProperty("color");
    element.style.removeProperty("text-decoration");
  }
}

/** The borders of a cell that a reader would miss, each by its style, width and colour. */
function visibleBorders({ style }: HTMLElement): string[] {
  return SIDES.flatMap((side) => {
    const [line, width, color] = ["style", "width", "color"].map((part) =>
      style.getPropertyValue(`border-${side}-${part}`),
    ) as [string, string, string];
    if (NO_LINE.test(line) || (PLAIN_LINE.test(line) && THIN.test(width) && INK_OR_GREY.test(color))) return [];
    return [`${line} ${width} ${color}`];
  });
}

/** How many values the cells with text have besides the one that most of them have. */
function besideUsual(cells: readonly HTMLElement[], valueOf: (element: HTMLElement) => string): number {
  const inherited = (element: HTMLElement): string => {
    const own = valueOf(element);
    const { parentElement } = element;
    return own !== "" || !parentElement ? own : inherited(parentElement);
  };
  const texts = cells.flatMap((cell) => [cell, ...cell.querySelectorAll<HTMLElement>("font, span")]).filter(hasText);
  return Math.max(new Set(texts.map(inherited)).size - 1, 0);
}

/** The first font of an element, without its generic family. */
function fontOf(element: HTMLElement): string {
  const [family = ""] = (element.style.fontFamily || (element.getAttribute("face") ?? "")).split(",");
  return family.replaceAll('"', "").trim().toLowerCase();
}

function sizeOf(element: HTMLElement): string {
  return element.style.fontSize || (element.matches("font") ? (element.getAttribute("size") ?? "") : "");
}

function hasText({ textContent }: Element): boolean {
  return textContent.trim() !== "";
}

function isHidden({ style }: HTMLElement): boolean {
  return style.display === "none";
}
