// What tests do with the editor of the page: reading its content as an outline, and pasting like a person.

import { until } from "@realtime-server/harness/until";

export function editor(page) {
  return page.locator(".ProseMirror");
}

/** Waits until the pages say that everything is saved. */
export async function saved(...pages) {
  for (const page of pages) {
    const status = page.getByTestId("status");
    await until("the page says that all is saved", async () => (await status.innerText()) === "Saved");
  }
}

/** Copies like another program, with any content, and pastes with the keyboard. */
export async function paste(page, formats, shortcut = "Control+v") {
  await page.evaluate(putOnClipboard, formats);
  await page.keyboard.press(shortcut);
}

/** Puts content on the clipboard, by its types. It runs in a page on which the user has just done something. */
export function putOnClipboard(formats) {
  const copy = (event) => {
    event.preventDefault();
    for (const [type, content] of Object.entries(formats)) event.clipboardData.setData(type, content);
  };
  document.addEventListener("copy", copy, { capture: true, once: true });
  return document.execCommand("copy");
}

/** Pastes or drops files, which a browser does not let a page put on the clipboard. `files`: `{ name, type, base64 }`. */
export function give(page, event, files, formats = {}) {
  return page.evaluate(
    ({ event, files, formats }) => {
      const transfer = new DataTransfer();
      for (const [type, content] of Object.entries(formats)) transfer.setData(type, content);
      for (const { name, type, base64 } of files) {
        const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
        transfer.items.add(new File([bytes], name, { type }));
      }
      const text = document.querySelector(".ProseMirror");
      const { left, top } = text.firstElementChild.getBoundingClientRect();
      const at = { bubbles: true, cancelable: true, clientX: left + 2, clientY: top + 2 };
      if (event === "drop") text.dispatchEvent(new DragEvent("drop", { ...at, dataTransfer: transfer }));
      else text.dispatchEvent(new ClipboardEvent("paste", { ...at, clipboardData: transfer }));
    },
    { event, files, formats },
  );
}

/** The content of the editor, one line for each block at the top: `heading1(Plan)`, `paragraph(a [bold:word])`. */
export function outline(page) {
  return editor(page).evaluate(readOutline);
}

/** What `outline` returns. It runs in the page: `root` is the element of the editor. */
export function readOutline(root) {
  const attributesOf = ({ attrs = {} }) => {
    const kept = ["level", "checked", "textAlign", "align", "href", "language", "alt", "src", "name"];
    const isNumber = (key) => /span$|^start$/.test(key) && attrs[key] !== 1;
    const keys = Object.keys(attrs).filter((key) => (kept.includes(key) && attrs[key] !== null) || isNumber(key));
    return keys.map((key) => ` ${key}=${String(attrs[key]).slice(0, 40)}`).join("");
  };
  const write = (node) => {
    if (node.type === "text") {
      const marks = (node.marks ?? []).map((mark) => mark.type + attributesOf(mark)).join(",");
      return marks === "" ? node.text : `[${marks}:${node.text}]`;
    }
    return `${node.type}${attributesOf(node)}(${(node.content ?? []).map(write).join("")})`;
  };
  return (root.editor.getJSON().content ?? []).map(write);
}
