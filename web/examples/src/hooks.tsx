import type { DocumentProvider, OpenPersistence } from "@realtime-server/client";
import { RealtimeProvider, useConnection, useDocument, usePeople } from "@realtime-server/client/react";
import { StrictMode, useEffect, useState } from "react";
import { createRoot } from "react-dom/client";
import { IndexeddbPersistence } from "y-indexeddb";
import type * as Y from "yjs";
import { client, me, room } from "./client";
import { mayWrite, statusText } from "./status";

/** Keeps a copy in the browser, one for each user and team, so that a reload without the network loses no edits. */
const persistence: OpenPersistence = (name, doc) => new IndexeddbPersistence(`demo/${me.id}/${name}`, doc);

function Document({ room }: { room: string }) {
  const connection = useConnection();
  const { provider, ...state } = useDocument(room, { persistence });
  const people = usePeople(provider);
  useEffect(() => provider?.awareness.setLocalStateField("user", me), [provider]);
  return (
    <>
      <p id="status">{statusText(connection, state)}</p>
      <p id="people">Here: {people.map(({ name, isSelf }) => (isSelf ? "you" : name)).join(", ")}</p>
      {provider && <List provider={provider} editable={mayWrite(state)} />}
    </>
  );
}

function List({ provider, editable }: { provider: DocumentProvider; editable: boolean }) {
  const list = provider.doc.getArray<string>("list");
  const items = useItems(list);
  const add = (form: FormData) => list.push([String(form.get("item"))]);
  return (
    <>
      <ul>
        {items.map((item, index) => (
          <li key={index}>
            {item}{" "}
            <button disabled={!editable} onClick={() => list.delete(index)}>
              Remove
            </button>
          </li>
        ))}
      </ul>
      <form action={add}>
        <input name="item" aria-label="New item" required disabled={!editable} />{" "}
        <button disabled={!editable}>Add</button>
      </form>
    </>
  );
}

/** The items of a shared list; renders again when they change. */
function useItems<T>(list: Y.Array<T>): readonly T[] {
  const [items, setItems] = useState<readonly T[]>([]);
  useEffect(() => {
    const read = () => setItems(list.toArray());
    read();
    list.observe(read);
    return () => list.unobserve(read);
  }, [list]);
  return items;
}

createRoot(document.getElementById("root") ?? document.body).render(
  <StrictMode>
    <RealtimeProvider client={client}>
      <Document key={room} room={room} />
    </RealtimeProvider>
  </StrictMode>,
);
