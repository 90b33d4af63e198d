import type { RealtimeClient } from "./client.js";
import { DocumentProvider } from "./document.js";
import type { DocumentProviderOptions } from "./document-options.js";
import type { RealtimeError } from "./error.js";
import { finalError, type DocumentState } from "./state.js";
import { reportUnheard } from "./unheard.js";

interface Opened {
  readonly provider: DocumentProvider;
  users: number;
}

const opened = new WeakMap<RealtimeClient, Map<string, Opened>>();

/**
 * Opens a provider of that room, which all callers share. Each caller has to call `release` once: without users the provider is
 * destroyed as soon as everything written in it is saved, or cannot be saved any more. Only the options of the first caller count.
 */
export function openDocument(
  client: RealtimeClient,
  room: string,
  options?: DocumentProviderOptions,
): { provider: DocumentProvider; release: () => void } {
  const rooms = opened.get(client) ?? new Map<string, Opened>();
  opened.set(client, rooms);
  const known = rooms.get(room);
  const entry =
    known && !known.provider.state.ended ? known : { provider: new DocumentProvider(client, room, options), users: 0 };
  rooms.set(room, entry);
  entry.users += 1;
  let released = false;
  const release = () => {
    if (released) return;
    released = true;
    entry.users -= 1;
    destroyWhenDone(entry, () => rooms.get(room) === entry && rooms.delete(room));
  };
  return { provider: entry.provider, release };
}

function destroyWhenDone(entry: Opened, forget: () => void): void {
  const { provider } = entry;
  let reported: RealtimeError | undefined;
  const check = (state: DocumentState) => {
    const error = state.saved ? undefined : finalError(state);
    if (entry.users === 0 && error && error !== reported) {
      reported = error;
      // No component shows it any more, and the listener of this function shows it to nobody.
      reportUnheard(`Edits of the document ${provider.room} are not saved`, error, () => entry.users > 0);
    }
    if (entry.users === 0 && !state.saved && !state.ended && !state.readOnly) return;
    provider.off("change", check);
    if (entry.users > 0) return;
    forget();
    provider.destroy();
  };
  provider.on("change", check);
  // Checked a moment later, so that a component that is mounted again, as in React's strict mode, keeps the same document.
  queueMicrotask(() => check(provider.state));
}
