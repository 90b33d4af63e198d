"use client";

/**
 * React hooks for the client and its documents.
 *
 * ```tsx
 * <RealtimeProvider client={client}>…</RealtimeProvider>
 * const { provider, saved, readOnly } = useDocument("article-42");
 * ```
 *
 * @module
 */
import type { Awareness } from "y-protocols/awareness";
import { createContext, createElement, useContext, useMemo, useSyncExternalStore, type ReactNode } from "react";
import type { RealtimeClient } from "./client.js";
import type { ConnectionState } from "./connection.js";
import type { DocumentProvider } from "./document.js";
import type { DocumentProviderOptions } from "./document-options.js";
import { openDocument } from "./open.js";
import { people, type Person } from "./people.js";
import { INITIAL_STATE, type DocumentState } from "./state.js";

const Context = createContext<RealtimeClient | undefined>(undefined);

/** Provides a client to all components inside. Create the client once, outside of components. */
export function RealtimeProvider({ client, children }: { client: RealtimeClient; children?: ReactNode }) {
  return createElement(Context.Provider, { value: client }, children);
}

/** The client of the surrounding `RealtimeProvider`. */
export function useRealtime(): RealtimeClient {
  const client = useContext(Context);
  if (!client) throw new Error("useRealtime needs a <RealtimeProvider client={…}> around it");
  return client;
}

/** The state of the connection; renders again when it changes. */
export function useConnection(): ConnectionState {
  const client = useRealtime();
  const [subscribe, read] = useMemo(
    () => [
      (changed: () => void) => {
        client.on("change", changed);
        return () => client.off("change", changed);
      },
      () => client.state,
    ],
    [client],
  );
  return useSyncExternalStore(subscribe, read, read);
}

/** A document and its state. `provider` is undefined until the component is mounted, and in server-side rendering. */
export type UsedDocument = DocumentState & { readonly provider: DocumentProvider | undefined };

/**
 * Opens a document for as long as the component is mounted. Components that use the same room share one provider.
 *
 * If edits are not saved yet when the last of these components is unmounted, the document stays open in the background until they
 * are, and a component that is mounted meanwhile uses the same provider. `options` count when the document is opened; later changes
 * of them have no effect.
 */
export function useDocument(room: string, options?: DocumentProviderOptions): UsedDocument {
  const client = useRealtime();
  // eslint-disable-next-line react-hooks/exhaustive-deps -- the options count at the opening only
  const store = useMemo(() => new DocumentStore(client, room, options), [client, room]);
  return useSyncExternalStore(store.subscribe, store.read, store.read);
}

/** A document that is open while a component subscribes to it. */
class DocumentStore {
  readonly #open: () => ReturnType<typeof openDocument>;
  #used: UsedDocument = NOT_USED;

  constructor(client: RealtimeClient, room: string, options: DocumentProviderOptions | undefined) {
    this.#open = () => openDocument(client, room, options);
  }

  readonly read = () => this.#used;

  readonly subscribe = (changed: () => void) => {
    const { provider, release } = this.#open();
    const note = () => {
      this.#used = { ...provider.state, provider };
      changed();
    };
    provider.on("change", note);
    note();
    return () => {
      provider.off("change", note);
      this.#used = NOT_USED;
      release();
    };
  };
}

/** The state of a provider; renders again when it changes. */
export function useDocumentState(provider: DocumentProvider | undefined): DocumentState {
  const [subscribe, read] = useMemo(
    () => [
      (changed: () => void) => {
        provider?.on("change", changed);
        return () => provider?.off("change", changed);
      },
      () => provider?.state ?? NOT_OPEN,
    ],
    [provider],
  );
  return useSyncExternalStore(subscribe, read, read);
}

/** The people in the document, the user of this client first; renders again when that list changes, not when a cursor moves. */
export function usePeople(provider: DocumentProvider | undefined): readonly Person[] {
  const store = useMemo(() => new PeopleStore(provider?.awareness), [provider]);
  return useSyncExternalStore(store.subscribe, store.read, store.read);
}

/** The people in a document. It returns the same array for as long as its content does not change. */
class PeopleStore {
  readonly #awareness: Awareness | undefined;
  #list: readonly Person[] = [];

  constructor(awareness: Awareness | undefined) {
    this.#awareness = awareness;
  }

  readonly read = () => {
    const now = this.#awareness ? people(this.#awareness) : [];
    if (JSON.stringify(now) !== JSON.stringify(this.#list)) this.#list = now;
    return this.#list;
  };

  readonly subscribe = (changed: () => void) => {
    this.#awareness?.on("change", changed);
    return () => this.#awareness?.off("change", changed);
  };
}

const NOT_OPEN: DocumentState = { ...INITIAL_STATE, status: "connecting" };

const NOT_USED: UsedDocument = { ...NOT_OPEN, provider: undefined };
