import { Backoff } from "./backoff.js";
import type { RealtimeClient } from "./client.js";
import type { DocumentInfo, DocumentQuery, Documents } from "./documents.js";
import { RealtimeError } from "./error.js";
import { LiveValue } from "./live.js";
import { Pacer } from "./pacer.js";
import type { DocumentMetadata } from "./protocol.js";

/** The state of a list of documents. Every change makes a new object; an object never changes. */
export interface DocumentListState {
  /** Undefined until the first answer. */
  readonly documents: readonly DocumentInfo[] | undefined;
  /** Whether there are further documents: see `loadMore`. */
  readonly hasMore: boolean;
  readonly isLoadingMore: boolean;
  /** Why the last attempt to fetch the list failed. It is repeated if that can help, and after a reconnect. */
  readonly error: RealtimeError | undefined;
}

/** The shortest time between two fetches of the list that events cause, in milliseconds. */
const INTERVAL_MS = 2_000;

/** A change of one document: `gone` from the documents that are not in the trash, or there. */
interface Change {
  readonly document: DocumentMetadata;
  readonly isGone: boolean;
}

/**
 * A live list of documents. It is fetched when somebody subscribes and after each reconnect. An event changes the documents that the
 * list has at once; for documents that it does not have, it is fetched again, at most every 2 s.
 */
export class DocumentList extends LiveValue<DocumentListState> {
  readonly #client: RealtimeClient;
  readonly #documents: Documents;
  readonly #query: DocumentQuery;
  readonly #pacer = new Pacer(INTERVAL_MS, () => void this.#fetch());
  readonly #retries = new Backoff();
  #retry: ReturnType<typeof setTimeout> | undefined;
  #pages = 1;
  #fetching: AbortController | undefined;
  /** The changes since the present fetch was begun: its answer may not have them yet. */
  #changes: Change[] = [];

  /** Use `client.documents.watch`. */
  constructor(client: RealtimeClient, documents: Documents, query: DocumentQuery) {
    super({ documents: undefined, hasMore: false, isLoadingMore: false, error: undefined });
    this.#client = client;
    this.#documents = documents;
    this.#query = query;
  }

  /** Fetches the list again. While somebody subscribes, it does so by itself when something has changed. */
  readonly refresh = (): void => {
    void this.#fetch();
  };

  /** Fetches another page, if there is one. */
  readonly loadMore = (): void => {
    if (!this.value.hasMore || this.value.isLoadingMore) return;
    this.#pages += 1;
    this.change({ isLoadingMore: true });
    void this.#fetch();
  };

  protected start(): () => void {
    const client = this.#client;
    const connected = (status: string) => {
      if (status === "connected") void this.#fetch();
    };
    client.on("status", connected);
    const ends = [
      () => client.off("status", connected),
      client.subscribe("document_created", ({ document }) => this.#happened({ document, isGone: false })),
      client.subscribe("document_changed", ({ document }) => this.#happened({ document, isGone: false })),
      client.subscribe("document_deleted", ({ document }) => this.#happened({ document, isGone: true })),
      client.subscribe("workflow_update", ({ room, to }) => this.#moved(room, to)),
    ];
    void this.#fetch();
    return () => {
      for (const end of ends) end();
      this.#pacer.cancel();
      clearTimeout(this.#retry);
      this.#fetching?.abort();
      this.#fetching = undefined;
      this.#pages = 1;
    };
  }

  /** Fetches the pages that were loaded, from the first on, because the order may have changed everywhere. */
  async #fetch(): Promise<void> {
    this.#fetching?.abort();
    clearTimeout(this.#retry);
    const fetching = new AbortController();
    this.#fetching = fetching;
    this.#changes = [];
    try {
      const { documents, hasMore } = await this.#pagesOf(fetching.signal);
      if (fetching.signal.aborted) return;
      this.#retries.reset();
      this.change({ documents, hasMore, isLoadingMore: false, error: undefined });
      for (const change of this.#changes) this.#apply(change);
    } catch (cause) {
      if (fetching.signal.aborted) return;
      const error = cause instanceof RealtimeError ? cause : new RealtimeError("internal", undefined, { cause });
      this.change({ isLoadingMore: false, error });
      const wait = Math.max(this.#retries.next(), error.retryAfterMs ?? 0);
      if (error.retryable) this.#retry = setTimeout(() => void this.#fetch(), wait);
    }
    this.#fetching = undefined;
  }

  async #pagesOf(signal: AbortSignal): Promise<{ documents: DocumentInfo[]; hasMore: boolean }> {
    const found = new Map<string, DocumentInfo>();
    let cursor: string | undefined;
    for (let page = 0; page < this.#pages; page += 1) {
      const { documents, next_cursor } = await this.#documents.list({ ...this.#query, cursor, signal });
      for (const document of documents) found.set(document.document_id, document);
      cursor = next_cursor;
      if (cursor === undefined) break;
    }
    return { documents: [...found.values()], hasMore: cursor !== undefined };
  }

  #happened(change: Change): void {
    if (this.#fetching) this.#changes.push(change);
    this.#apply(change);
  }

  #apply({ document, isGone }: Change): void {
    const { documents } = this.value;
    if (!documents) return;
    const known = documents.find(({ document_id }) => document_id === document.document_id);
    const belongs = isGone === (this.#query.trash ?? false) && this.#matches(document);
    if (!belongs) {
      if (known) this.change({ documents: documents.filter((other) => other !== known) });
      return;
    }
    if (known) this.#replace(documents, known, { ...document, permission: known.permission });
    // A list by title or by time of creation is not changed by an edit of a document on a later page.
    if (!known || this.#query.sort === "title") this.#pacer.request();
  }

  #moved(room: string, status: string): void {
    const known = this.value.documents?.find((document) => document.room === room);
    if (known) this.#happened({ document: { ...known, status }, isGone: this.#query.trash ?? false });
    // Until the first answer is there, or on a later page of documents that have other statuses, it is asked for again.
    else if (this.#fetching || this.#query.status === status) this.#pacer.request();
  }

  #replace(documents: readonly DocumentInfo[], known: DocumentInfo, now: DocumentInfo): void {
    const changed = documents.map((other) => (other === known ? now : other));
    if ((this.#query.sort ?? "updated") === "updated" && !this.#query.trash) {
      changed.sort((a, b) => Date.parse(b.updated_at) - Date.parse(a.updated_at));
    }
    this.change({ documents: changed });
  }

  #matches({ title, room, status }: DocumentMetadata): boolean {
    if (this.#query.status !== undefined && status !== this.#query.status) return false;
    return (title ?? room).toLowerCase().includes((this.#query.q ?? "").toLowerCase());
  }
}
