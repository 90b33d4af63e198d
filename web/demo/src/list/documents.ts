import { RealtimeError } from "@realtime-server/client";
import type { Identity } from "../session/identity";
import { fetchToken } from "../session/token";

/** A document in the list. */
export interface ListedDocument {
  readonly room: string;
  readonly permission: string;
  readonly updatedAt: number;
}

/** Some documents, the last edited first, and the cursor of the next page. */
export interface Page {
  readonly documents: readonly ListedDocument[];
  readonly nextCursor: string | undefined;
}

/** The error for a server that has no list of documents. */
export const NO_LIST = new RealtimeError("not_found", "this server has no list of documents");

/** Fetches one page of the team's documents. */
export async function fetchPage(identity: Identity, cursor: string | undefined, signal: AbortSignal): Promise<Page> {
  const token = await fetchToken(identity);
  const query = cursor === undefined ? "" : `?cursor=${encodeURIComponent(cursor)}`;
  const response = await fetchOrDisconnected(`/api/v1/documents${query}`, token, signal);
  const body: unknown = await response.json().catch(() => undefined);
  if (response.ok && isPage(body)) {
    return { documents: body.documents.map(listed), nextCursor: body.next_cursor };
  }
  if (response.ok || response.status === 404) throw NO_LIST;
  throw new RealtimeError(codeOf(response.status));
}

async function fetchOrDisconnected(address: string, token: string, signal: AbortSignal): Promise<Response> {
  try {
    return await fetch(address, { headers: { Authorization: `Bearer ${token}` }, cache: "no-store", signal });
  } catch (cause) {
    throw new RealtimeError("disconnected", undefined, { cause });
  }
}

function codeOf(status: number): "unauthorized" | "forbidden" | "overloaded" | "storage_unavailable" | "disconnected" {
  if (status === 401) return "unauthorized";
  if (status === 403) return "forbidden";
  if (status === 429) return "overloaded";
  // A proxy answers 500 or 502 while its server is away; the server itself answers 503 while its database is unavailable.
  return status === 503 ? "storage_unavailable" : "disconnected";
}

interface WireDocument {
  room: string;
  permission: string;
  updated_at: string;
}

function listed({ room, permission, updated_at }: WireDocument): ListedDocument {
  return { room, permission, updatedAt: Date.parse(updated_at) };
}

function isPage(body: unknown): body is { documents: WireDocument[]; next_cursor?: string } {
  if (typeof body !== "object" || body === null || !("documents" in body)) return false;
  return Array.isArray(body.documents) && body.documents.every(isWireDocument);
}

function isWireDocument(value: unknown): value is WireDocument {
  if (typeof value !== "object" || value === null) return false;
  const { room, permission, updated_at } = value as Record<string, unknown>;
  return [room, permission, updated_at].every((text) => typeof text === "string");
}
