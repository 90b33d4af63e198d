import { countColors } from "./colors";
import { counted, type LeftOut } from "./leftOut";
import { isSpreadsheet, readSpreadsheet } from "./spreadsheets";
import { readWordLists } from "./wordLists";

/** Elements that have content of their own which the document cannot have, and how people call them. */
const FOREIGN = {
  "iframe, embed, object": "embedded page",
  video: "video",
  audio: "recording",
  "svg, canvas": "drawing",
  math: "formula",
  "select, textarea, input:not([type=checkbox]):not([type=hidden])": "form field",
  // Of Word, of Excel, and of the cells of LibreOffice.
  ".msocomanchor, .msocomanch, comment": "comment",
} as const;

/** What a page does not show, and what only describes the rest. The texts of comments are counted at their places. */
const SILENT =
  "script, style, link, meta, title, template, noscript, head > *, input[type=hidden], a.comment-indicator, [style*='mso-element'][style*='comment-list']";

/** The signs of a document, in which a background is a highlight. Those of web pages are the look of the page. */
const DOCUMENT = "[id^='docs-internal-guid'], [class^=Mso], meta[content*=LibreOffice]";

/** LibreOffice Writer puts the comments of people into comments of HTML. */
const COMMENTS_OF_PEOPLE = "meta[content*=LibreOffice]";

/** Numbers of footnotes and endnotes, whose text is at the end of the paste. */
const NOTE = "[class^=sdfootnote], [class^=sdendnote], [href^='#_ftn'], [href^='#_edn']";

const BLOCK = "p, h1, h2, h3, ul, ol, table, blockquote, pre, div, hr, img";

/**
 * Makes of the HTML that another program put on the clipboard HTML that says the same in the elements of a document, and names what
 * it had to leave out. Scripts do not run meanwhile, and pictures are not loaded.
 */
export function cleanHtml(html: string, leftOut: LeftOut): Document {
  const dom = new DOMParser().parseFromString(html, "text/html");
  removeComments(dom, leftOut);
  const isOfCells = isSpreadsheet(dom);
  const isDocument = isOfCells || dom.querySelector(DOCUMENT) !== null;
  for (const [selector, name] of Object.entries(FOREIGN)) {
    for (const element of dom.querySelectorAll(selector)) {
      if (!element.isConnected) continue;
      counted(leftOut, name);
      element.remove();
    }
  }
  if (isOfCells) readSpreadsheet(dom, leftOut);
  for (const element of dom.querySelectorAll(SILENT)) element.remove();
  readWordLists(dom);
  readTaskLists(dom);
  readInnerLinks(dom, leftOut);
  if (isDocument) countColors(dom, leftOut);
  readStyles(dom, isDocument);
  readStructure(dom);
  readTables(dom);
  return dom;
}

function removeComments(dom: Document, leftOut: LeftOut): void {
  const areOfPeople = dom.querySelector(COMMENTS_OF_PEOPLE) !== null;
  const walker = dom.createTreeWalker(dom, NodeFilter.SHOW_COMMENT);
  const comments: Comment[] = [];
  while (walker.nextNode()) comments.push(walker.currentNode as Comment);
  for (const comment of comments) {
    const isOfClipboard = /^(Start|End)Fragment$/.test(comment.data);
    if (areOfPeople && !isOfClipboard && comment.parentElement?.closest("body")) counted(leftOut, "comment");
    comment.remove();
  }
}

/** Links to a place in the other document, which lead nowhere in this one. What is copied in an editor of this page has no other. */
function readInnerLinks(dom: Document, leftOut: LeftOut): void {
  if (dom.querySelector("[data-pm-slice]")) return;
  for (const link of dom.querySelectorAll("a[href^='#']")) {
    if (!link.matches(NOTE)) counted(leftOut, "link to a place in the other document");
    // LibreOffice writes the number of a note directly before its text.
    if (link.matches("[class$=notesym]")) link.after(" ");
    link.replaceWith(...link.childNodes);
  }
}

/** Task lists as GitHub, Google Docs and Notion write them: a list item with a checkbox, or with the state of one. */
function readTaskLists(dom: Document): void {
  for (const item of dom.querySelectorAll("li")) {
    const box = item.querySelector<HTMLInputElement>(
      ":scope > input[type=checkbox], :scope > :is(p, label, span) > input",
    );
    const state = item.getAttribute("aria-checked");
    if (!box && (state === null || item.getAttribute("role") !== "checkbox")) continue;
    item.dataset.type = "taskItem";
    item.dataset.checked = String(box ? box.hasAttribute("checked") : state === "true");
    if (item.parentElement) item.parentElement.dataset.type = "taskList";
    box?.remove();
  }
  // A checkbox outside of a list is a sign in the text.
  for (const box of dom.querySelectorAll("input[type=checkbox]"))
    box.replaceWith(box.hasAttribute("checked") ? "☑ " : "☐ ");
  for (const list of dom.querySelectorAll<HTMLElement>("[data-type=taskList]")) {
    for (const item of list.children) if (item instanceof HTMLLIElement) item.dataset.type = "taskItem";
    // Google Docs draws the box as a picture.
    for (const picture of list.querySelectorAll("li > img[aria-roledescription]")) picture.remove();
  }
}

/** Alignments, highlights and raised text that are written as attributes or styles. */
function readStyles(dom: Document, isDocument: boolean): void {
  for (const element of dom.querySelectorAll<HTMLElement>(":is(p, h1, h2, h3, h4, h5, h6)[align]")) {
    if (element.style.textAlign === "") element.style.textAlign = element.getAttribute("align") ?? "";
  }
  for (const element of dom.querySelectorAll<HTMLElement>("span[style], font[style]")) {
    const { background, backgroundColor } = element.style;
    const isMarked = /mso-highlight/i.test(element.getAttribute("style") ?? "");
    const color = backgroundColor === "" ? background : backgroundColor;
    const isColored = color !== "" && !/transparent|initial|inherit|none|white|255, 255, 255|rgba\(.*, 0\)/.test(color);
    if (isMarked || (isDocument && isColored)) wrapContent(element, "mark");
    const { verticalAlign } = element.style;
    if (verticalAlign === "super" || verticalAlign === "sub")
      wrapContent(element, verticalAlign === "super" ? "sup" : "sub");
  }
  // Google wraps everything into elements of its own, one of which means bold, with a style that says the opposite.
  for (const element of dom.querySelectorAll("b[id^='docs-internal-guid'], google-sheets-html-origin")) {
    element.replaceWith(...element.childNodes);
  }
}

function wrapContent(element: Element, name: "mark" | "sup" | "sub"): void {
  const wrapper = element.ownerDocument.createElement(name);
  wrapper.append(...element.childNodes);
  element.append(wrapper);
}

/** Elements that a document does not have, as those that are nearest to them. */
function readStructure(dom: Document): void {
  for (const element of dom.querySelectorAll("h4, h5, h6")) renamed(element, "h3");
  for (const element of dom.querySelectorAll("dt, summary, legend")) {
    wrapStrong(renamed(element, "p"));
  }
  for (const element of dom.querySelectorAll("dd, figcaption, address")) renamed(element, "p");
  for (const element of dom.querySelectorAll("ruby rt, ruby rp")) element.prepend(element.matches("rt") ? " " : "");
  // A list directly in a list belongs to the item before it.
  for (const list of dom.querySelectorAll("ul > :is(ul, ol), ol > :is(ul, ol)")) {
    const before = list.previousElementSibling;
    if (before?.matches("li")) before.append(list);
    else list.replaceWith(inItem(list));
  }
  // A picture is a block of its own.
  for (const paragraph of dom.querySelectorAll("p")) {
    const pictures = paragraph.querySelectorAll("img");
    if (pictures.length > 0 && paragraph.textContent.trim() === "") paragraph.replaceWith(...pictures);
  }
  // A line break at the end of a paragraph is not a line.
  for (const end of dom.querySelectorAll("p > br")) {
    const paragraph = end.parentElement;
    if (paragraph && textAfter(end).trim() === "" && end === paragraph.lastElementChild) end.remove();
  }
  // A line break between two blocks is an empty line.
  for (const end of dom.querySelectorAll("body > br")) {
    const neighbour = end.nextElementSibling ?? end.previousElementSibling;
    if (end.matches(".Apple-interchange-newline")) end.remove();
    else if (neighbour?.matches(BLOCK)) end.replaceWith(dom.createElement("p"));
  }
  // The line break after the last line of code is not a line.
  for (const code of dom.querySelectorAll("pre")) code.normalize();
  for (const code of dom.querySelectorAll("pre > code:only-child, pre:not(:has(> code))")) {
    const end = code.lastChild;
    if (end instanceof Text) end.data = end.data.replace(/\n$/, "");
  }
}

function readTables(dom: Document): void {
  // Tables are laid out by their content. The colours of columns have been counted.
  for (const columns of dom.querySelectorAll("colgroup")) columns.remove();
  for (const caption of dom.querySelectorAll("caption")) {
    caption.closest("table")?.before(renamed(caption, "p"));
  }
  // Word processors write the cells of a row of headings like other ones.
  for (const cell of dom.querySelectorAll("thead td")) {
    const heading = renamed(cell, "th");
    for (const { name, value } of cell.attributes) heading.setAttribute(name, value);
  }
  for (const cell of dom.querySelectorAll("td, th")) {
    for (const name of ["colspan", "rowspan"]) if (!isSpan(cell.getAttribute(name))) cell.removeAttribute(name);
  }
  for (const table of dom.querySelectorAll("table"))
    if (!table.querySelector("td, th")) table.replaceWith(...table.childNodes);
}

/** The text behind an element, in its parent. */
function textAfter(element: Element): string {
  let text = "";
  for (let node = element.nextSibling; node; node = node.nextSibling) text += node.textContent ?? "";
  return text;
}

function isSpan(value: string | null): boolean {
  return value !== null && /^\d{1,3}$/.test(value) && Number(value) >= 1;
}

function renamed(element: Element, name: string): HTMLElement {
  const other = element.ownerDocument.createElement(name);
  other.append(...element.childNodes);
  element.replaceWith(other);
  return other;
}

function wrapStrong(element: HTMLElement): void {
  const strong = element.ownerDocument.createElement("strong");
  strong.append(...element.childNodes);
  element.append(strong);
}

function inItem(list: Element): HTMLElement {
  const item = list.ownerDocument.createElement("li");
  item.append(list.cloneNode(true));
  return item;
}
