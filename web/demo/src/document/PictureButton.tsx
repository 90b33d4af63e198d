import { useEditorState, type Editor } from "@tiptap/react";
import { useRef, useState, type SubmitEvent } from "react";
import { Dialog } from "../ui/Dialog";
import { Icon } from "../ui/Icon";
import { addChosenPictures } from "./paste/Paste";
import { ToolbarButton } from "./ToolbarButton";

/** Adds pictures from files; on a selected picture, asks for its description. */
export function PictureButton({ editor }: { editor: Editor }) {
  const files = useRef<HTMLInputElement>(null);
  const [isDescribing, setDescribing] = useState(false);
  const isPicture = useEditorState({ editor, selector: ({ editor }) => editor.isActive("image") });
  const add = () => {
    const chosen = [...(files.current?.files ?? [])];
    if (files.current) files.current.value = "";
    editor.commands.focus();
    if (chosen.length > 0) addChosenPictures(editor, chosen);
  };
  return (
    <>
      <ToolbarButton
        label={isPicture ? "Describe the picture" : "Picture"}
        isPossible
        onPress={() => (isPicture ? setDescribing(true) : files.current?.click())}
      >
        <Icon name="picture" />
      </ToolbarButton>
      <input ref={files} type="file" accept="image/*" multiple hidden aria-label="Choose pictures" onChange={add} />
      {isDescribing && <DescriptionDialog editor={editor} onClose={() => setDescribing(false)} />}
    </>
  );
}

function DescriptionDialog({ editor, onClose }: { editor: Editor; onClose: () => void }) {
  const [current] = useState(() => descriptionOf(editor));
  const close = () => {
    onClose();
    editor.commands.focus();
  };
  const save = ({ currentTarget }: SubmitEvent<HTMLFormElement>) => {
    const typed = new FormData(currentTarget).get("description");
    editor.commands.updateAttributes("image", { alt: typeof typed === "string" ? typed.trim() : "" });
  };
  return (
    <Dialog title="Describe the picture" onClose={close}>
      <form method="dialog" className="form" onSubmit={save}>
        <label>
          Description
          <input name="description" defaultValue={current} maxLength={500} autoComplete="off" />
        </label>
        <p className="hint">
          Screen readers read it. Leave it empty if the picture says nothing that the text does not.
        </p>
        <div className="form-actions">
          <button type="submit" className="button primary">
            Done
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function descriptionOf(editor: Editor): string {
  const { alt } = editor.getAttributes("image");
  return typeof alt === "string" ? alt : "";
}
