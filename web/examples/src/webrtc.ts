import { DocumentProvider } from "@realtime-server/client";
import { EditorView, basicSetup } from "codemirror";
import { yCollab } from "y-codemirror.next";
import { WebrtcProvider } from "y-webrtc";
import { client, room } from "./client";
import { statusText } from "./status";

const provider = new DocumentProvider(client, room);
const signaling = [new URLSearchParams(location.search).get("signaling") ?? "ws://localhost:4444"];
const direct = new WebrtcProvider(room, provider.doc, { signaling });

const text = provider.doc.getText("codemirror");
new EditorView({
  parent: document.querySelector("#editor") ?? document.body,
  doc: text.toString(),
  extensions: [basicSetup, EditorView.lineWrapping, yCollab(text, provider.awareness)],
});

const show = () => document.querySelector("#status")?.replaceChildren(statusText(client.state, provider.state));
provider.on("change", show);
client.on("change", show);
show();
direct.on("peers", ({ webrtcPeers }) => document.querySelector("#peers")?.replaceChildren(String(webrtcPeers.length)));
