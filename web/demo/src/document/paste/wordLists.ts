/** The list of a paragraph of Word: `mso-list:l0 level2 lfo1`. */
const LIST = /mso-list:\s*l(\d+)\s+level(\d+)/i;

/** The sign of a numbered item: `1.`, `a)`, `iv.`. Everything else is the sign of a bulleted one. */
const NUMBER = /^\(?(?:\d+|[a-z]{1,4})[.)]/i;

/**
 * Makes lists of the paragraphs by which Word writes them: each has its level in its style, and its number or bullet as text in an
 * element with the style `mso-list:Ignore`.
 */
export function readWordLists(dom: Document): void {
  /** The open lists, from the outermost to the innermost. */
  let open: { list: HTMLElement; id: string }[] = [];
  let last: Element | undefined;
  for (const paragraph of dom.querySelectorAll<HTMLElement>("p[style*='mso-list' i]")) {
    const [, id = "", level = "1"] = LIST.exec(paragraph.getAttribute("style") ?? "") ?? [];
    const sign = paragraph.querySelector("[style*='mso-list:Ignore' i], [style*='mso-list: Ignore' i]");
    if (id === "" || !sign) continue;
    const isNumbered = NUMBER.test(sign.textContent.trim());
    sign.remove();
    if (last === undefined || paragraph.previousElementSibling !== last || open[0]?.id !== id) open = [];
    const depth = Math.min(Math.max(Number(level), 1), 9);
    const top = open[0]?.list;
    open = open.slice(0, depth);
    if (open.length === 0) {
      const list = newList(dom, isNumbered);
      paragraph.before(list);
      open.push({ list, id });
    }
    while (open.length < depth) {
      const list = newList(dom, isNumbered);
      const parent = open.at(-1)?.list;
      itemFor(dom, parent).append(list);
      open.push({ list, id });
    }
    const item = dom.createElement("li");
    open.at(-1)?.list.append(item);
    item.append(paragraph);
    last = top ?? open[0]?.list;
  }
}

function newList(dom: Document, isNumbered: boolean): HTMLElement {
  return dom.createElement(isNumbered ? "ol" : "ul");
}

/** The item that takes a list of the next level. */
function itemFor(dom: Document, list: HTMLElement | undefined): HTMLElement {
  const last = list?.lastElementChild;
  if (last instanceof HTMLElement) return last;
  const item = dom.createElement("li");
  list?.append(item);
  return item;
}
