import type { Awareness } from "y-protocols/awareness";
import type * as Y from "yjs";
import type { RealtimeError } from "./error.js";
import type { OpenPersistence } from "./persisted.js";
import type { DocumentState, DocumentStatus } from "./state.js";
import type { WaitOptions } from "./wait.js";

/** The options of a provider. */
export interface DocumentProviderOptions {
  /** The document. Default: a new one. */
  doc?: Y.Doc | undefined;
  /** The awareness: cursors and selections. Default: a new one for `doc`. Null: cursors are neither sent nor received. */
  awareness?: Awareness | null | undefined;
  /** Keeps a copy in the browser, so that a reload without the network loses no edits. */
  persistence?: OpenPersistence | undefined;
  /** Whether to join the room at once. Default: true. */
  connect?: boolean | undefined;
  /** As the option of the client, for this document. */
  preventUnsavedChanges?: boolean | undefined;
}

/** The events of a provider. Other Yjs providers have the first three as well. */
export type DocumentProviderEvents = {
  status: (event: { status: DocumentStatus }) => void;
  sync: (synced: boolean) => void;
  synced: (synced: boolean) => void;
  /** The state changed. */
  change: (state: DocumentState) => void;
  /** There is a new problem: `state.error` is another error than before. */
  error: (error: RealtimeError) => void;
  /**
   * The server has other content under the Yjs client id of this replica, or refused an element that has no place. `doc` has a new
   * client id, and its content was removed and inserted again: clear the history of an undo manager.
   */
  rebuilt: () => void;
};

/** A promise that can be called with options: `await whenSynced` and `await whenSynced({ timeoutMs: 5_000 })`. */
export type CallablePromise = ((options?: WaitOptions) => Promise<void>) &
  Pick<Promise<void>, "then" | "catch" | "finally">;
