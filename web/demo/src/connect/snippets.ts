/** A piece of code that connects an app to this server. */
export interface Snippet {
  readonly title: string;
  /** What to do with the code, and what happens then. */
  readonly hint: string;
  readonly code: string;
}

/** What the snippets are about. */
interface Target {
  /** The server's origin. */
  readonly url: string;
  readonly team: string;
  /** A token that the server accepts; undefined until it is fetched. */
  readonly token: string | undefined;
}

/** The document that the snippets open. The list shows it as soon as one of them has run. */
export const SNIPPET_ROOM = "my-first-app";

/** The snippets, which work as they are in development: they fetch tokens from the server. */
export function snippetsOf({ url, team, token }: Target): Snippet[] {
  const tokenAddress = `${url}/dev/token?${new URLSearchParams({ user: "my-app", name: "My app", role: "editor", team }).toString()}`;
  const install = `npm install ${url}/client.tgz yjs`;
  return [
    {
      title: "Install",
      hint: "In the folder of your app. The server gives out the client of its own version, so they fit together.",
      code: install,
    },
    {
      title: "JavaScript",
      hint: `Save it as app.mjs and run it with node, or use it in a page. It writes a paragraph into the document “${SNIPPET_ROOM}”, which then is in the list, and prints the text with every change.`,
      code: javaScript(url, tokenAddress),
    },
    { title: "React", hint: `Install the packages first: ${install} react react-dom`, code: react(url, tokenAddress) },
    {
      title: "Tiptap",
      hint: `Install the packages first: ${install} react react-dom ${TIPTAP}`,
      code: tiptap(url, tokenAddress),
    },
    {
      title: "curl",
      hint: "Lists the documents. The token is valid for an hour.",
      code: `curl -H "Authorization: Bearer ${token ?? "…"}" "${url}/api/v1/documents"\n\n# A new token:\ncurl "${tokenAddress}"`,
    },
  ];
}

const TIPTAP = [
  "@tiptap/core@3.31.3",
  "@tiptap/pm@3.31.3",
  "@tiptap/react@3.31.3",
  "@tiptap/starter-kit@3.31.3",
  "@tiptap/extension-bubble-menu@3.31.3",
  "@tiptap/extension-floating-menu@3.31.3",
  "@tiptap/extension-collaboration@3.31.3",
  "@tiptap/y-tiptap@3",
  "y-protocols",
].join(" ");

function clientCode(url: string, tokenAddress: string): string {
  return `const client = new RealtimeClient({
  url: "${url}",
  // In development anyone may have a token. In production your own backend signs them.
  token: async () => {
    const response = await fetch("${tokenAddress}");
    return (await response.json()).token;
  },
});`;
}

function javaScript(url: string, tokenAddress: string): string {
  return `import { DocumentProvider, RealtimeClient } from "@realtime-server/client";
import * as Y from "yjs";

${clientCode(url, tokenAddress)}
const provider = new DocumentProvider(client, "${SNIPPET_ROOM}");
await provider.whenSynced; // everything that others wrote is here

const text = provider.doc.getXmlFragment("default"); // where Tiptap keeps its text
text.observeDeep(() => console.log(text.toString()));

const paragraph = new Y.XmlElement("paragraph");
paragraph.insert(0, [new Y.XmlText("Hello from my app.")]);
text.push([paragraph]);
await provider.whenSaved(); // the paragraph is in the server's database
console.log("Saved. Others see it, and their changes are printed here.");
`;
}

function react(url: string, tokenAddress: string): string {
  return `import { RealtimeClient } from "@realtime-server/client";
import { RealtimeProvider, useConnection, useDocument } from "@realtime-server/client/react";
import { useEffect, useState } from "react";
import { createRoot } from "react-dom/client";

${clientCode(url, tokenAddress)}

function Counter() {
  const { status } = useConnection();
  const { provider, saved } = useDocument("${SNIPPET_ROOM}");
  const counts = provider?.doc.getArray("counts");
  const [total, setTotal] = useState(0);
  useEffect(() => {
    if (!counts) return;
    const show = () => setTotal(counts.length);
    show();
    counts.observe(show);
    return () => counts.unobserve(show);
  }, [counts]);
  return (
    <main>
      <p>
        {status}, {saved ? "saved" : "saving"}
      </p>
      <button onClick={() => counts?.push([Date.now()])}>Counted {total} times in all windows</button>
    </main>
  );
}

createRoot(document.getElementById("root")!).render(
  <RealtimeProvider client={client}>
    <Counter />
  </RealtimeProvider>,
);
`;
}

function tiptap(url: string, tokenAddress: string): string {
  return `import { RealtimeClient, type DocumentProvider } from "@realtime-server/client";
import { RealtimeProvider, useDocument } from "@realtime-server/client/react";
import "@realtime-server/client/carets.css";
import { Realtime } from "@realtime-server/client/tiptap";
import { EditorContent, useEditor } from "@tiptap/react";
import { StarterKit } from "@tiptap/starter-kit";
import { createRoot } from "react-dom/client";

${clientCode(url, tokenAddress)}

function Page() {
  const { provider } = useDocument("${SNIPPET_ROOM}");
  return provider ? <Text provider={provider} /> : <p>Opening…</p>;
}

function Text({ provider }: { provider: DocumentProvider }) {
  const editor = useEditor({ extensions: [StarterKit, Realtime.configure({ provider })] });
  return <EditorContent editor={editor} />;
}

createRoot(document.getElementById("root")!).render(
  <RealtimeProvider client={client}>
    <Page />
  </RealtimeProvider>,
);
`;
}
