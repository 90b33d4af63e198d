import type { RealtimeClient } from "./client.js";
import { DocumentList } from "./document-list.js";
import type { Http, HttpRequest } from "./http.js";
import type { DocumentMetadata, Permission } from "./protocol.js";
import type { WaitOptions } from "./wait.js";

/** A document of the team, with the highest right of this user. */
export type DocumentInfo = DocumentMetadata & { permission: Permission };

/** Which documents, and in which order. */
export interface DocumentQuery {
  /** A part of the title, or of the room's name where there is no title, without regard to case. */
  q?: string | undefined;
  /** The last edited first (default), the last created first, or by title. */
  sort?: "updated" | "created" | "title" | undefined;
  /** Those in the trash that this user may restore, the last deleted first. */
  trash?: boolean | undefined;
  /** Only those with this status of the workflow. */
  status?: string | undefined;
}

/** A page of a list of documents. */
export interface DocumentPage {
  documents: DocumentInfo[];
  /** The cursor of the next page, if there is one. A page may have fewer documents than `limit` and still a next one. */
  next_cursor?: string;
}

/** What `list` accepts. */
export interface DocumentListOptions extends DocumentQuery, WaitOptions {
  /** 1 to 100. Default: 50. */
  limit?: number | undefined;
  /** `next_cursor` of the page before. */
  cursor?: string | undefined;
}

/**
 * The documents of the team, by HTTP with the token of the session.
 *
 * All methods throw a `RealtimeError`: that of the server (`not_found`, `forbidden`, `invalid` with `field`, …), `disconnected`,
 * `timeout`, `token_unavailable`; or the reason of an aborted signal. There need not be a connection.
 */
export class Documents {
  readonly #client: RealtimeClient;
  readonly #http: Http;

  /** Use `client.documents`. */
  constructor(client: RealtimeClient, http: Http) {
    this.#client = client;
    this.#http = http;
  }

  /** Fetches a page of the documents that this user may view. */
  async list({ q, sort, trash, status, limit, cursor, ...wait }: DocumentListOptions = {}): Promise<DocumentPage> {
    const query = { q: q === "" ? undefined : q, sort, trash: trash ? true : undefined, status, limit, cursor };
    return (await this.#http.request({ method: "GET", path: ["documents"], query, ...wait })) as DocumentPage;
  }

  /** The documents of a query, kept up to date: they begin with `list`, and follow what others do. */
  watch(query: DocumentQuery = {}): DocumentList {
    return new DocumentList(this.#client, this, query);
  }

  /**
   * The document of a room. A deleted one has `deleted_at`, as long as it is in the trash and no other one has its name.
   *
   * @throws {RealtimeError} `not_found`, if there is none; `forbidden`, if this user may not view it.
   */
  get(room: string, options?: WaitOptions): Promise<DocumentInfo> {
    return this.#one({ method: "GET", path: ["documents", room], ...options });
  }

  /**
   * Creates the document of a room. If it exists, it gets the title, if one is given. Needs `edit`.
   *
   * @throws {RealtimeError} `invalid` with the field `title`: it has to have 1 to 255 characters, and none of them a control
   * character.
   */
  create(room: string, { title, ...wait }: { title?: string | undefined } & WaitOptions = {}): Promise<DocumentInfo> {
    return this.#one({ method: "PUT", path: ["documents", room], body: { title }, ...wait });
  }

  /** Changes the title of a document; null removes it. Needs `edit`. @throws {RealtimeError} as `create`, and `not_found`. */
  rename(room: string, title: string | null, options?: WaitOptions): Promise<DocumentInfo> {
    return this.#one({ method: "PATCH", path: ["documents", room], body: { title }, ...options });
  }

  /** Moves a document to the trash, from which it can be restored for 30 days. Needs `manage`, or to have created it. */
  remove(room: string, options?: WaitOptions): Promise<DocumentInfo> {
    return this.#one({ method: "DELETE", path: ["documents", room], ...options });
  }

  /**
   * Restores a document from the trash: the one of that id, or the last deleted one of that room. Needs `manage`, or to have created
   * or deleted it.
   *
   * @throws {RealtimeError} `conflict`, if another document has the name; `not_found`, if there is none in the trash.
   */
  restore(
    room: string,
    { documentId, ...wait }: { documentId?: string | undefined } & WaitOptions = {},
  ): Promise<DocumentInfo> {
    const body = { document_id: documentId };
    return this.#one({ method: "POST", path: ["documents", room, "restore"], body, ...wait });
  }

  async #one(request: HttpRequest): Promise<DocumentInfo> {
    const answer = (await this.#http.request(request)) as { document: DocumentMetadata; permission: Permission };
    return { ...answer.document, permission: answer.permission };
  }
}
