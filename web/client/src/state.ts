import type { RealtimeError } from "./error.js";
import type { DocumentMetadata, Permission, Right, StorageStatus } from "./protocol.js";

/**
 * `connected`: the room is joined. `connecting`: it is not joined yet, or not any more, and the provider is trying.
 * `disconnected`: the provider is not trying; see `error`.
 */
export type DocumentStatus = "connecting" | "connected" | "disconnected";

/** The state of a document. Every change makes a new object; an object never changes. */
export interface DocumentState {
  readonly status: DocumentStatus;
  /** Whether this replica has everything that the server has. False while not connected. */
  readonly synced: boolean;
  /** Whether everything in this replica is durable on the server, and visible to everybody. */
  readonly saved: boolean;
  /** The number of edits of this replica that are not known to be saved. */
  readonly unsaved: number;
  /** The highest right; undefined until it is known. */
  readonly permission: Permission | undefined;
  /** Whether the server would refuse edits. False until the rights are known: see `permission`. */
  readonly readOnly: boolean;
  /** Title, owner and times, as the server has them. Undefined until the room is joined for the first time. */
  readonly document: DocumentMetadata | undefined;
  /** The colour of this user in this document, as `#rrggbb`. Undefined until the room is joined for the first time. */
  readonly color: string | undefined;
  /**
   * Whether the server can write to its database. While it cannot (`unavailable`), people can continue to write, and `saved` stays
   * false. `damaged`: parts of this document could not be read from the database; the rest is shown.
   */
  readonly storage: StorageStatus;
  /** The present problem, if there is one. */
  readonly error: RealtimeError | undefined;
  /**
   * Why this provider will never connect again: the document was deleted, or deleted and created again. The edits in `doc` stay
   * there and are not sent; open a new provider with a new `doc` to continue.
   */
  readonly ended: "deleted" | "replaced" | undefined;
}

/** The state of a document about which nothing is known yet. */
export const INITIAL_STATE: DocumentState = {
  status: "disconnected",
  synced: false,
  saved: true,
  unsaved: 0,
  permission: undefined,
  readOnly: false,
  document: undefined,
  color: undefined,
  storage: "ok",
  error: undefined,
  ended: undefined,
};

/** What a permission allows. If the server has sent `rights`, they decide. */
export function access(
  permission: Permission,
  rights?: readonly Right[],
): Pick<DocumentState, "permission" | "readOnly"> {
  const mayEdit = rights ? rights.includes("edit") : permission === "edit" || permission === "manage";
  return { permission, readOnly: !mayEdit };
}

/**
 * The error because of which waiting is in vain, unless the application does something. A `conflict` is none while the room is
 * joined, because the provider writes its edits again.
 */
export function finalError({ status, error }: DocumentState): RealtimeError | undefined {
  const isBeingSolved = status !== "disconnected" && (error?.retryable === true || error?.code === "conflict");
  return isBeingSolved ? undefined : error;
}

/** Whether two states are the same. */
export function isSame(a: DocumentState, b: DocumentState): boolean {
  return (Object.keys(b) as (keyof DocumentState)[]).every((key) => a[key] === b[key]);
}
