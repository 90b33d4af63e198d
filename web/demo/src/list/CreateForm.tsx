import { useId, useState, type SubmitEvent } from "react";
import { navigate } from "../navigation/route";
import { Icon } from "../ui/Icon";
import { roomProblem } from "./room";

/** Makes a document by opening it: the server brings it into being. A name that exists opens what is there. */
export function CreateForm() {
  const [name, setName] = useState("");
  const [problem, setProblem] = useState<string>();
  const [fieldId, problemId] = [useId(), useId()];
  const create = (event: SubmitEvent) => {
    event.preventDefault();
    const room = name.trim();
    const found = roomProblem(room);
    setProblem(found);
    if (found === undefined) navigate({ view: "document", room }, { begin: true });
    else document.getElementById(fieldId)?.focus();
  };
  const change = (value: string) => {
    setName(value);
    // A complaint goes as soon as it is answered, and a new one waits for the button.
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
