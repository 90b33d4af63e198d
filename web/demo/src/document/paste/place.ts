import { TextSelection } from "@tiptap/pm/state";
import type { EditorView } from "@tiptap/pm/view";
import {
  absolutePositionToRelativePosition,
  relativePositionToAbsolutePosition,
  ySyncPluginKey,
  type ProsemirrorBinding,
} from "@tiptap/y-tiptap";

/** Remembers where the caret is, also while others and this user write. The returned function sets it there again. */
export function rememberPlace(view: EditorView): () => void {
  const { selection } = view.state;
  const binding = bindingOf(view);
  if (!binding) return () => undefined;
  const place: unknown = absolutePositionToRelativePosition(selection.from, binding.type, binding.mapping);
  return () => {
    const { state } = view;
    const position = relativePositionToAbsolutePosition(binding.doc, binding.type, place, binding.mapping);
    if (position === null || view.state.selection.eq(selection)) return;
    const $position = state.doc.resolve(Math.min(position, state.doc.content.size));
    view.dispatch(state.tr.setSelection(TextSelection.near($position)));
  };
}

function bindingOf(view: EditorView): ProsemirrorBinding | undefined {
  const state: unknown = ySyncPluginKey.getState(view.state);
  return (state as { binding?: ProsemirrorBinding } | undefined)?.binding;
}
