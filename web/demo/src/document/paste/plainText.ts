import { marked } from "marked";

/** Larger texts are inserted as they are: they are data and no notes, and reading them would take seconds. */
const LENGTH_MAX = 200_000;

/** Signs of Markdown at the begin of a line. One of them is enough, except for list items, of which there have to be two. */
const BLOCKS = [
  /^#{1,6} \S/m,
  /^(```|~~~)/m,
  /^\|?[ \t]*:?-{2,}:?[ \t]*(\|[ \t]*:?-+:?[ \t]*)+\|?[ \t]*$/m,
  /^> \S/m,
  /^[-*+] \[[ xX]\] /m,
];
const ITEMS = /^[ \t]*([-*+]|\d{1,3}[.)]) \S/gm;

/** Signs of Markdown within a line. */
const SPANS = [/\[[^\]\n]+\]\((https?:|mailto:)[^)\s]+\)/, /(?<![\w*])\*\*\S[^*\n]*\S\*\*(?![\w*])/];

/** The text as HTML, if it is a table from a spreadsheet or Markdown; otherwise undefined. */
export function htmlOfText(text: string): string | undefined {
  if (text.length > LENGTH_MAX) return undefined;
  const lines = text.replace(/\r\n?/g, "\n").replace(/\n+$/, "");
  const rows = readRows(lines);
  if (rows) return tableHtml(rows);
  return isMarkdown(lines) ? marked.parse(lines, { async: false, gfm: true, breaks: true }) : undefined;
}

function isMarkdown(text: string): boolean {
  return (
    BLOCKS.some((sign) => sign.test(text)) ||
    SPANS.some((sign) => sign.test(text)) ||
    (text.match(ITEMS)?.length ?? 0) >= 2
  );
}

/**
 * The cells of a table as spreadsheets write them in plain text: a tab between two cells, and quotes around a cell with a line break.
 * Undefined if the rows are not equally long, or look like indented lines.
 */
function readRows(text: string): string[][] | undefined {
  if (!text.includes("\t")) return undefined;
  const rows: string[][] = [[]];
  const cell = /"((?:[^"]|"")*[\n\t](?:[^"]|"")*)"(?=\t|\n|$)|([^\t\n]*)/y;
  for (let at = 0; at <= text.length; at += 1) {
    cell.lastIndex = at;
    const found = cell.exec(text);
    rows.at(-1)?.push(found?.[1]?.replaceAll('""', '"') ?? found?.[2] ?? "");
    at += found?.[0].length ?? 0;
    if (text[at] === "\n") rows.push([]);
  }
  const width = rows[0]?.length ?? 0;
  const isEven = rows.every((row) => row.length === width);
  const isIndented = rows.every((row) => row[0] === "");
  return isEven && width > 1 && !isIndented ? rows : undefined;
}

function tableHtml(rows: readonly (readonly string[])[]): string {
  const cells = (row: readonly string[]) => row.map((text) => `<td>${escaped(text)}</td>`).join("");
  return `<table><tbody>${rows.map((row) => `<tr>${cells(row)}</tr>`).join("")}</tbody></table>`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll("\n", "<br>");
}
