/**
 * React hooks around the client and its documents.
 *
 * ```tsx
 * <RealtimeProvider client={client}>…</RealtimeProvider>
 * const { provider, saved, readOnly } = useDocument("article-42");
 * ```
 *
 * @module
 */
import {
  createContext,
  createElement,
  useContext,
  useEffect,
  useMemo,
  useState,
  useSyncExternalStore,
  type ReactNode,
} from "react";
import type { ConnectionState, RealtimeClient } from "./client.js";
import type { DocumentProvider, DocumentProviderOptions, DocumentState } from "./document.js";
import { openDocument } from "./open.js";
import { people, type Person } from "./people.js";

const Context = createContext<RealtimeClient | undefined>(undefined);

/** Gives a client to all components inside. The client belongs to the application: make it once, outside of components. */
export function RealtimeProvider({ client, children }: { client: RealtimeClient; children?: ReactNode }) {
  return createElement(Context.Provider, { value: client }, children);
}

/** The client of the `RealtimeProvider` around. */
export function useRealtime(): RealtimeClient {
  const client = useContext(Context);
  if (!client) throw new Error("useRealtime needs a <RealtimeProvider client={…}> around it");
  return client;
}

/** How the connection is; renders again when it changes. */
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

/** A document and its state. `provider` is undefined until the first effect has run, and on a server. */
export type UsedDocument = DocumentState & { readonly provider: DocumentProvider | undefined };

/**
 * Opens a document for as long as the component is mounted. Components that use the same room share one provider.
 *
 * When the last one is gone and edits are not saved yet, the document stays open in the background until they are; who comes back
 * meanwhile finds it as it was. `options` count when the document is opened; later changes of theirs do not.
 */
export function useDocument(room: string, options?: DocumentProviderOptions): UsedDocument {
  const client = useRealtime();
  const [provider, setProvider] = useState<DocumentProvider>();
  useEffect(() => {
    const { provider, release } = openDocument(client, room, options);
    setProvider(provider);
    return () => {
      setProvider(undefined);
      release();
    };
    // The options count at the opening only.
  }, [client, room]);
  const current = provider?.room === room ? provider : undefined;
  const state = useDocumentState(current);
  return useMemo(() => ({ ...state, provider: current }), [state, current]);
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

/** Who is in the document, oneself first; renders again when someone comes or goes, not when a cursor moves. */
export function usePeople(provider: DocumentProvider | undefined): readonly Person[] {
  const [subscribe, read] = useMemo(() => {
    let list: readonly Person[] = NOBODY;
    const refresh = () => {
      const now = provider ? people(provider.awareness) : NOBODY;
      if (JSON.stringify(now) !== JSON.stringify(list)) list = now;
      return list;
    };
    const subscribe = (changed: () => void) => {
      provider?.awareness.on("change", changed);
      return () => provider?.awareness.off("change", changed);
    };
    return [subscribe, refresh] as const;
  }, [provider]);
  return useSyncExternalStore(subscribe, read, read);
}

const NOBODY: readonly Person[] = [];

const NOT_OPEN: DocumentState = {
  status: "connecting",
  synced: false,
  saved: true,
  unsaved: 0,
  permission: undefined,
  readOnly: false,
  storage: "ok",
  error: undefined,
  ended: undefined,
};
