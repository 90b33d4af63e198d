import { useId, useState, type SubmitEvent } from "react";
import { navigate } from "../navigation/route";
import { Icon } from "../ui/Icon";
import { roomProblem } from "./room";

/** Creates a document by opening it: the server creates it. If the name exists already, that document is opened. */
export function CreateForm() {
  const [name, setName] = useState("");
  const [problem, setProblem] = useState<string>();
  const [fieldId, problemId] = [useId(), useId()];
  const create = (event: SubmitEvent) => {
    event.preventDefault();
    const room = name.trim();
    const found = roomProblem(room);
    setProblem(found);
    if (found === undefined) navigate({ view: "document", room }, { focusText: true });
    else document.getElementById(fieldId)?.focus();
  };
  const change = (value: string) => {
    setName(value);
    // The message disappears as soon as the name is valid. A new one appears only with the button.
    if (problem !== undefined && roomProblem(value.trim()) === undefined) setProblem(undefined);
  };
  return (
    <form className="create" onSubmit={create} noValidate>
      <label htmlFor={fieldId}>New document</label>
      <div className="create-row">
        <input
          id={fieldId}
          value={name}
          placeholder="What is it about?"
          autoComplete="off"
          enterKeyHint="go"
          aria-invalid={problem !== undefined}
          aria-describedby={problemId}
          onChange={({ target }) => change(target.value)}
        />
        <button type="submit" className="button primary">
          <Icon name="plus" />
          Create
        </button>
      </div>
      <p className="problem" id={problemId} role="alert">
        {problem}
      </p>
    </form>
  );
}
