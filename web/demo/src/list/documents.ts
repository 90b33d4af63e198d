import { RealtimeError, type ErrorCode, type Permission, type ServerErrorCode } from "@realtime-server/client";
import type { Identity } from "../session/identity";
import { fetchToken } from "../session/token";

/** What the server keeps about a document besides its content. */
export interface DocumentMetadata {
  /** The document's name, which addresses it. It never changes. */
  readonly room: string;
  readonly document_id: string;
  readonly title?: string;
  readonly created_by: { readonly id: string; readonly name: string };
  readonly created_at: string;
  readonly updated_at: string;
  readonly deleted_at?: string;
}

/** A document, and the highest right of this user to it. */
export type DocumentInfo = DocumentMetadata & { readonly permission: Permission };

/** The orders of the list. */
export type Sort = "updated" | "created" | "title";

/** Which documents, and in which order. */
export interface DocumentQuery {
  /** A part of the title, without regard to case; empty for all documents. */
  readonly q: string;
  readonly sort: Sort;
  /** Whether those in the trash are meant that this user may restore. */
  readonly trash: boolean;
}

/** Some documents, and the cursor of the next page. */
export interface Page {
  readonly documents: readonly DocumentInfo[];
  readonly next_cursor?: string;
}

/** The error for a server that has no list of documents. */
export const NO_LIST = new RealtimeError("not_found", "this server has no list of documents");

/** The title of a document, or the name of its room where it has none. */
export function titleOf({ title, room }: Pick<DocumentMetadata, "title" | "room">): string {
  return title ?? room;
}

/** Whether this user may change the document and its title. */
export function mayEdit({ permission }: DocumentInfo): boolean {
  return permission === "edit" || permission === "manage";
}

/** Whether this user may move the document to the trash. */
export function mayDelete({ permission, created_by }: DocumentInfo, { id }: Identity): boolean {
  return permission === "manage" || created_by.id === id;
}

/** The documents of a user's team. Every method throws a `RealtimeError`: that of the server, or `disconnected`. */
export class Documents {
  readonly #identity: Identity;

  constructor(identity: Identity) {
    this.#identity = identity;
  }

  /** Fetches one page. */
  async list(query: DocumentQuery, cursor: string | undefined, signal?: AbortSignal): Promise<Page> {
    // The trash has its own order: the last deleted first.
    const parameters = new URLSearchParams(query.trash ? { trash: "true" } : { sort: query.sort });
    if (query.q.trim() !== "") parameters.set("q", query.q.trim());
    if (cursor !== undefined) parameters.set("cursor", cursor);
    const body = await this.#ask("GET", `?${parameters.toString()}`, undefined, signal);
    if (isPage(body)) return body;
    throw NO_LIST;
  }

  /** The document of a room. A deleted one has `deleted_at`. `not_found` if there is none, `forbidden` without a right to it. */
  get(room: string, signal?: AbortSignal): Promise<DocumentInfo> {
    return this.#one("GET", pathOf(room), undefined, signal);
  }

  /** Creates the document of a room, or gives an existing one the title. */
  create(room: string, title?: string): Promise<DocumentInfo> {
    return this.#one("PUT", pathOf(room), title === undefined ? {} : { title });
  }

  /** Changes the title; null removes it. */
  rename(room: string, title: string | null): Promise<DocumentInfo> {
    return this.#one("PATCH", pathOf(room), { title });
  }

  /** Moves a document to the trash. */
  remove(room: string): Promise<DocumentInfo> {
    return this.#one("DELETE", pathOf(room));
  }

  /** Takes a document out of the trash. */
  restore({ room, document_id }: DocumentMetadata): Promise<DocumentInfo> {
    return this.#one("POST", `${pathOf(room)}/restore`, { document_id });
  }

  async #one(method: string, path: string, body?: object, signal?: AbortSignal): Promise<DocumentInfo> {
    const answer = await this.#ask(method, path, body, signal);
    if (isAnswer(answer)) return { ...answer.document, permission: answer.permission };
    throw new RealtimeError("internal", "something else answers at the address of the server.");
  }

  async #ask(method: string, path: string, body?: object, signal?: AbortSignal): Promise<unknown> {
    const headers: Record<string, string> = { Authorization: `Bearer ${await fetchToken(this.#identity)}` };
    if (body) headers["Content-Type"] = "application/json";
    const options: RequestInit = { method, headers, cache: "no-store", signal: signal ?? null };
    if (body) options.body = JSON.stringify(body);
    const response = await fetch(`/api/v1/documents${path}`, options).catch((cause: unknown) => {
      throw new RealtimeError("disconnected", undefined, { cause });
    });
    const answer: unknown = await response.json().catch(() => undefined);
    if (response.ok) return answer;
    throw hasError(answer) ? RealtimeError.fromPayload(answer.error) : new RealtimeError(codeOf(response.status));
  }
}

function pathOf(room: string): string {
  return `/${encodeURIComponent(room)}`;
}

/** The meaning of an answer that is not of the server itself, but of a proxy before it. */
function codeOf(status: number): ErrorCode {
  if (status === 404) return "not_found";
  if (status === 429) return "overloaded";
  return status === 503 ? "storage_unavailable" : "disconnected";
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function hasError(body: unknown): body is { error: { code: ServerErrorCode; message: string; retryable: boolean } } {
  return isObject(body) && isObject(body.error) && typeof body.error.code === "string";
}

function isPage(body: unknown): body is Page {
  return isObject(body) && Array.isArray(body.documents) && body.documents.every(isMetadata);
}

function isAnswer(body: unknown): body is { document: DocumentMetadata; permission: Permission } {
  return isObject(body) && isMetadata(body.document) && typeof body.permission === "string";
}

/** Whether a value is the metadata of a document. */
export function isMetadata(value: unknown): value is DocumentMetadata {
  if (!isObject(value) || !isObject(value.created_by)) return false;
  return [value.room, value.document_id, value.created_at, value.updated_at].every((text) => typeof text === "string");
}
