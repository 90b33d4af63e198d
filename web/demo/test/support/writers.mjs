// People who write in the text of the page, each with a client of their own, without a window.

import { anchorOf, DocumentProvider, RealtimeClient } from "@realtime-server/client";
import { token } from "@realtime-server/harness/tokens";
import * as Y from "yjs";

const clients = new Set();

/** The name of the text within the document, as the editor of the page uses it. */
const FIELD = "default";

/** A person in a document of the page's team. */
export class Writer {
  /** @param room The document's name. */
  static async enter(server, room, name) {
    const writer = new Writer();
    writer.id = `writer-${name}`;
    const person = { user: writer.id, name, team: "demo" };
    const client = new RealtimeClient({ url: server.url, token: () => token(person) });
    clients.add(client);
    writer.provider = new DocumentProvider(client, room);
    await writer.provider.whenSynced;
    return writer;
  }

  /** Adds paragraphs at the end of the text. */
  async append(...paragraphs) {
    const text = this.provider.doc.getXmlFragment(FIELD);
    this.provider.doc.transact(() => {
      for (const paragraph of paragraphs) {
        const element = new Y.XmlElement("paragraph");
        text.insert(text.length, [element]);
        element.insert(0, [new Y.XmlText(paragraph)]);
      }
    });
    await this.provider.whenSaved();
  }

  /** Sets the caret into a paragraph, before the character at `index`. */
  place(paragraph, index) {
    const text = this.#text(paragraph);
    const position = Y.relativePositionToJSON(Y.createRelativePositionFromTypeIndex(text, index));
    this.provider.awareness.setLocalStateField("cursor", { anchor: position, head: position });
  }

  /** Writes into a paragraph, and sets the caret behind it. */
  type(paragraph, index, words) {
    this.#text(paragraph).insert(index, words);
    this.place(paragraph, index + words.length);
  }

  /** Begins a thread on the characters of a paragraph from `start` to `end`. */
  comment(paragraph, start, end, body) {
    const type = this.#text(paragraph);
    const { client, room } = this.provider;
    const quote = type.toString().slice(start, end);
    return client.threads(room).create({ body, quote, anchor: anchorOf({ type, index: start }, { type, index: end }) });
  }

  #text(paragraph) {
    return this.provider.doc.getXmlFragment(FIELD).get(paragraph).get(0);
  }
}

/** Ends all clients; for `afterEach`. */
export function closeWriters() {
  for (const client of clients) client.destroy();
  clients.clear();
}
