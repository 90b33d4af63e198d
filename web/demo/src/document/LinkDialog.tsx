import type { Editor } from "@tiptap/react";
import { useState, type SubmitEvent } from "react";
import { Dialog } from "../ui/Dialog";
import { linkAddress } from "./linkAddress";

/** Asks for the address of a link on the selected text. */
export function LinkDialog({ editor, onClose }: { editor: Editor; onClose: () => void }) {
  const [current] = useState(() => hrefOf(editor));
  const [problem, setProblem] = useState<string>();
  const close = () => {
    onClose();
    editor.commands.focus();
  };
  const save = (event: SubmitEvent<HTMLFormElement>) => {
    const { submitter } = event.nativeEvent;
    if (submitter instanceof HTMLButtonElement && submitter.value === "remove") {
      editor.chain().extendMarkRange("link").unsetLink().run();
      return;
    }
    const typed = new FormData(event.currentTarget).get("address");
    const href = linkAddress(typeof typed === "string" ? typed : "");
    if (href !== undefined) {
      setLink(editor, href);
      return;
    }
    event.preventDefault();
    setProblem("This is no address of a page or of an e-mail account.");
  };
  return (
    <Dialog title={current === "" ? "Add a link" : "Change the link"} onClose={close}>
      <form method="dialog" className="form" onSubmit={save} noValidate>
        <label>
          Address
          <input
            name="address"
            type="url"
            inputMode="url"
            defaultValue={current}
            placeholder="example.com"
            autoComplete="off"
            aria-invalid={problem !== undefined}
            aria-describedby="link-problem"
          />
        </label>
        <p className="problem" id="link-problem" role="alert">
          {problem}
        </p>
        <div className="form-actions">
          {current !== "" && (
            <>
              <a className="button" href={current} target="_blank" rel="noopener noreferrer">
                Open
              </a>
              <button type="submit" className="button" value="remove">
                Remove
              </button>
            </>
          )}
          <button type="submit" className="button primary">
            {current === "" ? "Add" : "Change"}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function hrefOf(editor: Editor): string {
  const { href } = editor.getAttributes("link");
  return typeof href === "string" ? href : "";
}

function setLink(editor: Editor, href: string): void {
  const chain = editor.chain().extendMarkRange("link");
  if (editor.state.selection.empty && !editor.isActive("link")) {
    // If nothing is selected, the address itself is inserted as the text.
    chain.insertContent({ type: "text", text: href, marks: [{ type: "link", attrs: { href } }] }).run();
  } else {
    chain.setLink({ href }).run();
  }
}
