import { RealtimeError, type DocumentInfo } from "@realtime-server/client";
import { reasonOf } from "@realtime-server/client/kit";
import { useRealtime } from "@realtime-server/client/react";
import { useEffect, useId, useRef, useState, type KeyboardEvent } from "react";
import { announce } from "../status/announcer";
import { titleOf } from "./documents";
import { TITLE_LENGTH_MAX } from "./room";

interface TitleFieldProps {
  document: DocumentInfo;
  /** Whether the field gets the focus at once. */
  isFocused?: boolean;
  onSaved?: (document: DocumentInfo) => void;
  /** The user has finished: the title is saved, or left as it was. */
  onEnd?: () => void;
}

/** The title of a document in a field: Enter or leaving it saves, Escape reverts. While nobody types here, it follows the others. */
export function TitleField({ document, isFocused = false, onSaved, onEnd }: TitleFieldProps) {
  const { documents } = useRealtime();
  const title = titleOf(document);
  /** What was typed and is not saved; undefined while the field shows the title. */
  const [typed, setTyped] = useState<string>();
  const [problem, setProblem] = useState<string>();
  const field = useRef<HTMLInputElement>(null);
  const isReverted = useRef(false);
  const problemId = useId();
  useEffect(() => {
    if (isFocused) field.current?.select();
  }, [isFocused]);
  const save = async (text: string) => {
    try {
      const renamed = await documents.rename(document.room, text === "" ? null : text);
      onSaved?.(renamed);
      setTyped(undefined);
      setProblem(undefined);
      announce("The title is saved");
      onEnd?.();
    } catch (error) {
      setProblem(`The title is not saved: ${error instanceof RealtimeError ? reasonOf(error) : "it failed."}`);
    }
  };
  const leave = () => {
    const text = typed?.trim();
    if (!isReverted.current && text !== undefined && text !== title) {
      void save(text);
      return;
    }
    isReverted.current = false;
    setTyped(undefined);
    setProblem(undefined);
    onEnd?.();
  };
  const press = (event: KeyboardEvent) => {
    if (event.key !== "Enter" && event.key !== "Escape") return;
    // Enter that ends the input of a composed character is none.
    if (event.nativeEvent.isComposing) return;
    event.preventDefault();
    isReverted.current = event.key === "Escape";
    field.current?.blur();
  };
  return (
    <>
      <input
        ref={field}
        className="title-field"
        aria-label="Title"
        aria-invalid={problem !== undefined}
        aria-describedby={problemId}
        value={typed ?? title}
        maxLength={TITLE_LENGTH_MAX}
        autoComplete="off"
        enterKeyHint="done"
        onChange={({ target }) => setTyped(target.value)}
        onKeyDown={press}
        onBlur={leave}
      />
      <span className="problem title-problem" id={problemId} role="alert">
        {problem}
      </span>
    </>
  );
}
