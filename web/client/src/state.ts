import type { RealtimeError } from "./error.js";
import type { Permission, Right, StorageStatus } from "./protocol.js";

/** `connected`: joined. `connecting`: not yet, or not any more, and trying. `disconnected`: not trying; see `error`. */
export type DocumentStatus = "connecting" | "connected" | "disconnected";

/** How a document is. A new object for every change, never altered. */
export interface DocumentState {
  readonly status: DocumentStatus;
  /** Whether all that the server has is here. False while not connected. */
  readonly synced: boolean;
  /** Whether everything in this replica is durable on the server, and there for everybody to see. */
  readonly saved: boolean;
  /** How many edits of this replica are not known to be that. */
  readonly unsaved: number;
  /** The highest right; undefined until it is known. */
  readonly permission: Permission | undefined;
  /** Whether edits would be refused. False until the rights are known: see `permission`. */
  readonly readOnly: boolean;
  /**
   * Whether the server can write to its database. While it cannot (`unavailable`), people go on writing, and `saved` waits.
   * `damaged`: parts of this document could not be read from the database, and what is shown is the rest.
   */
  readonly storage: StorageStatus;
  /** What stands in the way, if anything does. */
  readonly error: RealtimeError | undefined;
  /**
   * Why this provider will never connect again: the document was deleted, or deleted and made anew. The edits in `doc` stay, and
   * are sent to nobody; open a new provider with a new `doc` to go on.
   */
  readonly ended: "deleted" | "replaced" | undefined;
}

/** How a document is before anything is known of it. */
export const UNKNOWN: DocumentState = {
  status: "disconnected",
  synced: false,
  saved: true,
  unsaved: 0,
  permission: undefined,
  readOnly: false,
  storage: "ok",
  error: undefined,
  ended: undefined,
};

/** What a permission allows; `rights` says it exactly, once the server has told them. */
export function access(
  permission: Permission,
  rights?: readonly Right[],
): Pick<DocumentState, "permission" | "readOnly"> {
  const mayEdit = rights ? rights.includes("edit") : permission === "edit" || permission === "manage";
  return { permission, readOnly: !mayEdit };
}

/** Whether two states say the same. */
export function isSame(a: DocumentState, b: DocumentState): boolean {
  return (Object.keys(b) as (keyof DocumentState)[]).every((key) => a[key] === b[key]);
}
