import "monaco-editor/esm/vs/editor/edcore.main.js";
import * as monaco from "monaco-editor/esm/vs/editor/editor.api.js";
import EditorWorker from "monaco-editor/esm/vs/editor/editor.worker.js?worker";
import { MonacoBinding } from "y-monaco";
import { UndoManager } from "yjs";
import "../monaco.css";
import { type MountEditor, openDocument, user } from "./page";

self.MonacoEnvironment = { getWorker: () => new EditorWorker() };

export const mount: MountEditor = (open, element) => {
  const { doc, awareness, provider } = openDocument(open);
  awareness.setLocalStateField("user", { name: user });
  const text = doc.getText("monaco");
  const model = monaco.editor.createModel(text.toString(), "plaintext");
  model.setEOL(monaco.editor.EndOfLineSequence.LF); // on all systems, since the places in the shared text count line ends
  const editor = monaco.editor.create(element, { model, automaticLayout: true, minimap: { enabled: false } });
  const binding = new MonacoBinding(text, model, new Set([editor]), awareness);

  // Monaco's own undo takes back the edits of others, too.
  const history = new UndoManager(text, { trackedOrigins: new Set([binding]) });
  monaco.editor.addCommand({ id: "undo", run: () => history.undo() });
  monaco.editor.addCommand({ id: "redo", run: () => history.redo() });

  // The binding marks the carets of others with a class for each window; here the classes get names and colors.
  const styles = new CSSStyleSheet();
  document.adoptedStyleSheets.push(styles);
  awareness.on("change", () => {
    const rules = [...awareness.getStates()].map(([id, { user }]) => {
      const { name, color } = (user ?? {}) as Record<string, unknown>;
      const shown = CSS.supports("color", String(color)) ? String(color) : "gray";
      const classes = `.yRemoteSelection-${id}, .yRemoteSelectionHead-${id}`;
      return `${classes} { --name: "${CSS.escape(String(name))}"; --color: ${shown}; }`;
    });
    styles.replaceSync(rules.join("\n"));
  });
  provider.connect();
};
