// Components that count how often each of them renders.

import { RealtimeClient } from "@realtime-server/client";
import {
    RealtimeProvider,
    useDocument,
    useDocuments,
    useMyPresence,
    useOthers,
    useSelf,
    useUnread,
} from "@realtime-server/client/react";
import { useMemo } from "react";
import { createRoot } from "react-dom/client";

const query = new URLSearchParams(location.search);
const client = new RealtimeClient({
    url: query.get("url"),
    token: () => query.get("token"),
    preventUnsavedChanges: true,
});

/** How often each component has rendered. */
window.renders = { others: 0, typing: 0, names: 0, self: 0, mine: 0, documents: 0, unread: 0 };

function Page() {
    const { provider, synced } = useDocument(query.get("room"));
    window.provider = provider;
    return (
        <>
            <p id="synced">{String(synced)}</p>
            <Others provider={provider} />
            <Typing provider={provider} />
            <Names provider={provider} />
            <Self provider={provider} />
            <Mine provider={provider} />
            <Documents />
            <Unread />
        </>
    );
}

function Others({ provider }) {
    window.renders.others += 1;
    const others = useOthers(provider);
    return <p id="others">{others.map(({ presence }) => String(presence.cursor)).join()}</p>;
}

function Typing({ provider }) {
    window.renders.typing += 1;
    const typing = useOthers(provider, (others) => others.filter(({ presence }) => presence.typing).map(nameOf));
    return <p id="typing">{typing.join()}</p>;
}

function Names({ provider }) {
    window.renders.names += 1;
    const names = useOthers(
        provider,
        (others) => others.map(nameOf),
        (a, b) => a.join() === b.join(),
    );
    return <p id="names">{names.join()}</p>;
}

function Self({ provider }) {
    window.renders.self += 1;
    const name = useSelf(provider, nameOf);
    return <p id="self">{name}</p>;
}

function Mine({ provider }) {
    window.renders.mine += 1;
    const [presence, update] = useMyPresence(provider);
    return (
        <button id="mine" onClick={() => update({ typing: !presence.typing })}>
            {presence.typing ? "typing" : "reading"}
        </button>
    );
}

function Documents() {
    window.renders.documents += 1;
    const { documents } = useDocuments({ q: "plan" });
    return <p id="documents">{documents ? documents.map(({ title }) => title).join() : "loading"}</p>;
}

function Unread() {
    window.renders.unread += 1;
    return <p id="unread">{useUnread()}</p>;
}

const nameOf = ({ person }) => person.name;

const root = createRoot(document.getElementById("root"));
window.leave = () => root.unmount();
root.render(
    <RealtimeProvider client={client}>
        <Page />
    </RealtimeProvider>,
);
