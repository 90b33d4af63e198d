import { Extension, type Editor } from "@tiptap/core";
import { Fragment, Slice } from "@tiptap/pm/model";
import { NodeSelection, Plugin, TextSelection } from "@tiptap/pm/state";
import { dropPoint } from "@tiptap/pm/transform";
import type { EditorView } from "@tiptap/pm/view";
import { cleanHtml } from "./clean";
import { counted, leftOutText, type LeftOut } from "./leftOut";
import { isPicture, PICTURE_BYTES_MAX, type UploadImage } from "./pictures";
import { keptPictures } from "./keptPictures";
import { rememberPlace } from "./place";
import { htmlOfText } from "./plainText";
import { filesOfPictures } from "./rtfPictures";

/** The options of `Paste`. */
export interface PasteOptions {
  /** Uploads a picture and returns its address. Default: pictures are kept in the document as data, up to a limit. */
  uploadImage: UploadImage | undefined;
  /** The most characters that the data of a picture may have. Default: 512 Ki. */
  pictureBytesMax: () => number;
  /** Shows people a sentence: what was left out, or that pictures are being added. Undefined: nothing any more. */
  onNotice: (text: string | undefined) => void;
}

const ADDING = "Adding pictures…";
const WITHOUT_FORMATS = "The paste was added as plain text, because its formatting could not be read.";

/**
 * Pastes and drops what other programs give: the text of word processors and web pages, the tables of spreadsheets, Markdown,
 * and pictures. What cannot be kept is named in a notice. With Ctrl+Shift+V text is inserted as it is.
 */
export const Paste = Extension.create<PasteOptions>({
  // Tiptap has an extension `paste` of its own, which only reports pastes.
  name: "pasteContent",
  // Before the pasting of tables, which would take a part of the pasted content only.
  priority: 1_000,

  addOptions() {
    return { uploadImage: undefined, pictureBytesMax: () => PICTURE_BYTES_MAX, onNotice: () => undefined };
  },

  addProseMirrorPlugins() {
    const pasting = new Pasting(this.options);
    return [
      new Plugin({
        props: {
          handleKeyDown: (_view, event) => pasting.pressed(event),
          handlePaste: (view, event, slice) => pasting.paste(view, event, slice),
          handleDrop: (view, event, _slice, isMoved) => pasting.drop(view, event, isMoved),
        },
      }),
    ];
  },
});

/** Inserts pictures that this user has chosen from files. */
export function addChosenPictures({ extensionManager, view }: Editor, files: readonly File[]): void {
  const paste = extensionManager.extensions.find(({ name }) => name === Paste.name);
  if (paste) void new Pasting(paste.options as PasteOptions).files(view, files);
}

class Pasting {
  readonly #options: PasteOptions;
  #isPlain = false;
  /** The text that the paste in progress must contain. */
  #expected: { text: string; plain: string } | undefined;

  constructor(options: PasteOptions) {
    this.#options = options;
  }

  pressed({ key, shiftKey, ctrlKey, metaKey }: KeyboardEvent): false {
    this.#isPlain = key.toLowerCase() === "v" && shiftKey && (ctrlKey || metaKey);
    return false;
  }

  paste(view: EditorView, event: ClipboardEvent, slice: Slice): boolean {
    if (this.#expected) return this.#check(view, slice, this.#expected);
    const isPlain = this.#isPlain;
    this.#isPlain = false;
    const { clipboardData } = event;
    if (!clipboardData || isPlain || view.state.selection.$from.parent.type.spec.code) return false;
    return this.#take(view, clipboardData);
  }

  drop(view: EditorView, event: DragEvent, isMoved: boolean): boolean {
    const { dataTransfer } = event;
    if (!dataTransfer || isMoved || view.dragging) return false;
    const place = view.posAtCoords({ left: event.clientX, top: event.clientY });
    if (!place || (dataTransfer.files.length === 0 && !dataTransfer.types.includes("text/html"))) return false;
    placeCaret(view, place.pos);
    view.focus();
    return this.#take(view, dataTransfer);
  }

  /** Inserts what a transfer holds; false if it is a plain text, which the editor inserts itself. */
  #take(view: EditorView, transfer: DataTransfer): boolean {
    const [html, text, files] = [transfer.getData("text/html"), transfer.getData("text/plain"), [...transfer.files]];
    // Office programs add a picture of the copied cells or text. A picture that is copied alone has an address and its data.
    const leftOut: LeftOut = new Map();
    const dom = html === "" ? undefined : cleanHtml(inTable(html), leftOut);
    if (files.length > 0 && view.state.selection instanceof NodeSelection) placeCaret(view, view.state.selection.to);
    const isPictureOnly = !dom || (letters(dom.body.textContent) === "" && dom.images.length <= 1);
    if (files.length > 0 && isPictureOnly) {
      void this.files(view, files);
      return true;
    }
    const read = dom ?? this.#readText(text, leftOut);
    if (!read) return false;
    void this.#insert(view, read, text, leftOut, filesOfPictures(read, transfer.getData("text/rtf")));
    return true;
  }

  #readText(text: string, leftOut: LeftOut): Document | undefined {
    const html = htmlOfText(text);
    return html === undefined ? undefined : cleanHtml(html, leftOut);
  }

  /** Inserts pictures from files. */
  async files(view: EditorView, files: readonly File[]): Promise<void> {
    const leftOut: LeftOut = new Map();
    const dom = document.implementation.createHTMLDocument();
    const sources = new Map<HTMLImageElement, File>();
    for (const file of files) {
      if (!isPicture(file)) {
        counted(leftOut, "file that is not a picture");
        continue;
      }
      const picture = dom.createElement("img");
      picture.alt = file.name.replace(/\.\w+$/, "");
      dom.body.append(picture);
      sources.set(picture, file);
    }
    await this.#insert(view, dom, "", leftOut, sources);
  }

  async #insert(
    view: EditorView,
    dom: Document,
    plain: string,
    leftOut: LeftOut,
    sources: ReadonlyMap<HTMLImageElement, File> = new Map(),
  ): Promise<void> {
    const { uploadImage, pictureBytesMax, onNotice } = this.#options;
    const pending = keptPictures(dom, sources, { uploadImage, bytesMax: pictureBytesMax() }, leftOut);
    if (pending.length > 0) {
      const place = rememberPlace(view);
      onNotice(ADDING);
      await Promise.all(pending);
      if (view.isDestroyed) return;
      place();
    }
    let isComplete = true;
    if (
      dom.body.childNodes.length > 0 &&
      (letters(dom.body.textContent) !== "" || dom.querySelector("img, hr, table"))
    ) {
      isComplete = this.#pasteHtml(view, dom, plain);
    }
    onNotice(
      [isComplete ? undefined : WITHOUT_FORMATS, leftOutText(leftOut)].filter((part) => part).join(" ") || undefined,
    );
  }

  /** Returns false if the text was inserted without its formats. */
  #pasteHtml(view: EditorView, dom: Document, plain: string): boolean {
    // So that the user can go on writing below.
    const { $from } = view.state.selection;
    const isAtEnd = $from.depth === 1 && $from.after(1) === view.state.doc.content.size;
    if (isAtEnd && dom.body.lastElementChild?.matches("img, table, hr, pre")) dom.body.append(dom.createElement("p"));
    const expected = { text: letters(dom.body.textContent), plain: plain || dom.body.textContent };
    this.#expected = expected;
    try {
      view.pasteHTML(dom.body.innerHTML);
      return this.#expected === expected;
    } finally {
      this.#expected = undefined;
    }
  }

  /** Nothing of a text may get lost on the way through the schema. If it did, the plain text is inserted instead. */
  #check(view: EditorView, slice: Slice, expected: { text: string; plain: string }): boolean {
    const { content } = slice;
    const read = letters(content.textBetween(0, content.size, "", (leaf) => leaf.type.spec.leafText?.(leaf) ?? ""));
    if (read.length >= expected.text.length) return false;
    this.#expected = { text: "", plain: "" };
    view.pasteText(expected.plain);
    return true;
  }
}

/** Puts the caret at a position, into a new paragraph if there is no text. */
function placeCaret(view: EditorView, position: number): void {
  const { tr, doc, schema } = view.state;
  const near = TextSelection.near(doc.resolve(position));
  const paragraph = schema.nodes.paragraph?.create();
  if (near instanceof TextSelection || !paragraph) {
    view.dispatch(tr.setSelection(near));
    return;
  }
  const place = dropPoint(doc, position, new Slice(Fragment.from(paragraph), 0, 0)) ?? doc.content.size;
  tr.insert(place, paragraph);
  view.dispatch(tr.setSelection(TextSelection.near(tr.doc.resolve(place + 1))));
}

/** The text without spaces and the signs by which programs join or divide words invisibly. */
function letters(text: string): string {
  return text.replace(/[\s\u00ad\u200b-\u200d\u2060\ufeff]/g, "");
}

/** Cells and rows without their table, as some programs copy them, get one: without it a browser would drop their tags. */
function inTable(html: string): string {
  const isPart = /^\s*(<meta[^>]*>\s*)*(<!--StartFragment-->)?\s*<(tr|td|th|tbody|thead)[\s>]/i.test(html);
  return isPart ? `<table>${html}</table>` : html;
}
