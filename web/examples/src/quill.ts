import { DocumentProvider } from "@realtime-server/client";
import Quill from "quill";
import QuillCursors from "quill-cursors";
import "quill/dist/quill.snow.css";
import { QuillBinding } from "y-quill";
import { client, me, room } from "./client";
import { mayWrite, statusText } from "./status";

const provider = new DocumentProvider(client, room);
provider.awareness.setLocalStateField("user", me);

Quill.register("modules/cursors", QuillCursors);
const quill = new Quill("#editor", {
  theme: "snow",
  readOnly: true,
  modules: {
    cursors: true,
    history: { userOnly: true }, // undo takes back only the user's own edits
    toolbar: [
      [{ header: [1, 2, false] }, "bold", "italic", "underline"],
      [{ list: "ordered" }, { list: "bullet" }],
    ],
  },
});
new QuillBinding(provider.doc.getText("quill"), quill, provider.awareness);

const show = () => {
  document.querySelector("#status")?.replaceChildren(statusText(client.state, provider.state));
  if (quill.isEnabled() !== mayWrite(provider.state)) quill.enable(mayWrite(provider.state));
};
provider.on("change", show);
client.on("change", show);
show();
