import { DocumentProvider, participantsOf } from "@realtime-server/client";
import "monaco-editor/esm/vs/basic-languages/markdown/markdown.contribution.js";
import "monaco-editor/esm/vs/editor/edcore.main.js";
import * as monaco from "monaco-editor/esm/vs/editor/editor.api.js";
import EditorWorker from "monaco-editor/esm/vs/editor/editor.worker.js?worker";
import { MonacoBinding } from "y-monaco";
import { UndoManager, createRelativePositionFromTypeIndex } from "yjs";
import { client, me, room } from "./client";
import "./monaco.css";
import { mayWrite, statusText } from "./status";

self.MonacoEnvironment = { getWorker: () => new EditorWorker() };

const provider = new DocumentProvider(client, room);
provider.awareness.setLocalStateField("user", me);

const text = provider.doc.getText("monaco");
const model = monaco.editor.createModel(text.toString(), "markdown");
model.setEOL(monaco.editor.EndOfLineSequence.LF); // on all systems, since the places in the shared text count line ends
const editor = monaco.editor.create(document.querySelector<HTMLElement>("#editor") ?? document.body, {
  model,
  readOnly: true,
  automaticLayout: true,
  minimap: { enabled: false },
  scrollBeyondLastLine: false,
});
const binding = new MonacoBinding(text, model, new Set([editor]), provider.awareness);

// The binding shows the caret of every open window to the others. This is only for those that have the focus.
const showCaret = () => {
  const selection = editor.hasTextFocus() ? editor.getSelection() : null;
  const placeOf = (position: monaco.IPosition) =>
    createRelativePositionFromTypeIndex(text, model.getOffsetAt(position));
  provider.awareness.setLocalStateField(
    "selection",
    selection && {
      anchor: placeOf({ lineNumber: selection.selectionStartLineNumber, column: selection.selectionStartColumn }),
      head: placeOf(selection.getPosition()),
    },
  );
};
editor.onDidFocusEditorText(showCaret);
editor.onDidBlurEditorText(showCaret);
editor.onDidChangeCursorSelection(() => !editor.hasTextFocus() && showCaret());

// Monaco's own undo takes back the edits of others, too, so its commands are replaced for all editors of the page.
const history = new UndoManager(text, { trackedOrigins: new Set([binding]) });
monaco.editor.addCommand({ id: "undo", run: () => mayWrite(provider.state) && history.undo() });
monaco.editor.addCommand({ id: "redo", run: () => mayWrite(provider.state) && history.redo() });
provider.on("rebuilt", () => history.clear());

// The binding marks the carets of others with a class for each window; here the classes get names and colors.
const styles = new CSSStyleSheet();
document.adoptedStyleSheets.push(styles);
let shown = "";
const others = participantsOf(provider.awareness);
const showPeople = () => {
  const rules = others.getSnapshot().others.map(({ clientId, person: { name, color } }) => {
    const classes = `.yRemoteSelection-${clientId}, .yRemoteSelectionHead-${clientId}`;
    return `${classes} { --name: "${CSS.escape(name)}"; --color: ${CSS.supports("color", color) ? color : "gray"}; }`;
  });
  const css = rules.join("\n");
  if (css !== shown) styles.replaceSync(css);
  shown = css;
};
others.subscribe(showPeople);
showPeople();

const show = () => {
  document.querySelector("#status")?.replaceChildren(statusText(client.state, provider.state));
  editor.updateOptions({ readOnly: !mayWrite(provider.state) });
};
provider.on("change", show);
client.on("change", show);
show();
