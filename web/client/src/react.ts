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
import { useCallback, useMemo, useSyncExternalStore } from "react";
import type { RealtimeClient } from "./client.js";
import type { ConnectionState } from "./connection.js";
import type { DocumentProvider } from "./document.js";
import type { DocumentProviderOptions } from "./document-options.js";
import type { DocumentList, DocumentListState } from "./document-list.js";
import type { DocumentQuery } from "./documents.js";
import type { Live } from "./live.js";
import { openDocument } from "./open.js";
import { participantsOf, type Participant, type Participants } from "./participants.js";
import { people, type Person } from "./people.js";
import type { PresenceState } from "./presence.js";
import { useRealtime } from "./react-context.js";
import { Selection, isShallowEqual, type Equality } from "./selection.js";
import { INITIAL_STATE, type DocumentState } from "./state.js";

export { RealtimeProvider, useRealtime } from "./react-context.js";
export * from "./react-features.js";

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

/** Reads a part of a live value; renders again when the part is another one, by `isEqual`, not when another part changes. */
function useSelected<T, S>(live: Live<T>, select: (value: T) => S, isEqual: Equality<S> = isShallowEqual): S {
  const selection = useMemo(() => new Selection<T, S>(live), [live]);
  // A selector in a component is another function in each rendering, so it is applied to the same selection.
  const read = () => selection.read(select, isEqual);
  return useSyncExternalStore(live.subscribe, read, read);
}

const NOBODY: Live<Participants> = { subscribe: () => () => {}, getSnapshot: () => NO_PARTICIPANTS };

const NO_PARTICIPANTS: Participants = { self: undefined, others: [] };

function useParticipants(provider: DocumentProvider | undefined): Live<Participants> {
  return provider ? participantsOf(provider.awareness) : NOBODY;
}

/**
 * The other windows in which the document is open, or what `select` takes from them; renders again when that changes. By default
 * results are compared shallowly: arrays by their elements, plain objects by their properties.
 *
 * ```tsx
 * const typing = useOthers(provider, (others) => others.filter(({ presence }) => presence.isTyping).map(({ person }) => person.name));
 * ```
 */
export function useOthers(provider: DocumentProvider | undefined): readonly Participant[];
export function useOthers<S>(
  provider: DocumentProvider | undefined,
  select: (others: readonly Participant[]) => S,
  isEqual?: Equality<S>,
): S;
export function useOthers<S>(
  provider: DocumentProvider | undefined,
  select: (others: readonly Participant[]) => S = (others) => others as S,
  isEqual?: Equality<S>,
): S {
  return useSelected(useParticipants(provider), ({ others }) => select(others), isEqual);
}

/**
 * This window as the others see it, or what `select` takes from it; renders again when that changes. Undefined while there is no
 * provider, or the awareness has no state.
 */
export function useSelf(provider: DocumentProvider | undefined): Participant | undefined;
export function useSelf<S>(
  provider: DocumentProvider | undefined,
  select: (self: Participant) => S,
  isEqual?: Equality<S | undefined>,
): S | undefined;
export function useSelf<S>(
  provider: DocumentProvider | undefined,
  select: (self: Participant) => S = (self) => self as S,
  isEqual?: Equality<S | undefined>,
): S | undefined {
  return useSelected(useParticipants(provider), ({ self }) => self && select(self), isEqual);
}

/**
 * What this window shows to the others, and a function that changes some fields of it. The function stays the same while the provider
 * does. Before there is a provider it has no effect.
 *
 * ```tsx
 * const [{ isTyping }, updateMyPresence] = useMyPresence(provider);
 * ```
 */
export function useMyPresence(
  provider: DocumentProvider | undefined,
): [presence: Participant["presence"], update: (fields: Record<string, unknown>) => void] {
  const presence = useSelf(provider, (self) => self.presence) ?? NO_PRESENCE;
  const update = useCallback(
    (fields: Record<string, unknown>) => {
      provider?.awareness.setLocalState({ ...provider.awareness.getLocalState(), ...fields });
    },
    [provider],
  );
  return [presence, update];
}

const NO_PRESENCE: Participant["presence"] = {};

/** A live list of documents, and the functions that fetch more of it, or all of it again. */
export type UsedDocuments = DocumentListState & Pick<DocumentList, "loadMore" | "refresh">;

/** The documents of a query, kept up to date while the component is mounted; renders again when the list changes. */
export function useDocuments(query: DocumentQuery = {}): UsedDocuments {
  const { documents } = useRealtime();
  const { q, sort, trash, status } = query;
  const list = useMemo(() => documents.watch({ q, sort, trash, status }), [documents, q, sort, trash, status]);
  const state = useSyncExternalStore(list.subscribe, list.getSnapshot, list.getSnapshot);
  return useMemo(() => ({ ...state, loadMore: list.loadMore, refresh: list.refresh }), [state, list]);
}

/** The people of the team who are present, or those in a room; renders again when that changes. */
export function usePresence({ room }: { room?: string | undefined } = {}): PresenceState {
  const { presence } = useRealtime();
  const live = useMemo(() => presence.watch({ room }), [presence, room]);
  return useSyncExternalStore(live.subscribe, live.getSnapshot, live.getSnapshot);
}

const NOT_OPEN: DocumentState = { ...INITIAL_STATE, status: "connecting" };

const NOT_USED: UsedDocument = { ...NOT_OPEN, provider: undefined };
