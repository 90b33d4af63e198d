import { RealtimeError } from "@realtime-server/client";
import { reasonOf } from "@realtime-server/client/kit";
import { useRealtime } from "@realtime-server/client/react";
import { useId, useState, type SubmitEvent } from "react";
import { navigate } from "../navigation/route";
import type { Identity } from "../session/identity";
import { Icon } from "../ui/Icon";
import { newRoom, TITLE_LENGTH_MAX } from "./room";

/** The title of a document that was created without one. */
const UNTITLED = "Untitled document";

/** Creates a document with a title and opens it. */
export function CreateForm({ identity }: { identity: Identity }) {
  const client = useRealtime();
  const [title, setTitle] = useState("");
  const [problem, setProblem] = useState<string>();
  const [isBusy, setBusy] = useState(false);
  const [fieldId, problemId] = [useId(), useId()];
  const create = async () => {
    setBusy(true);
    setProblem(undefined);
    try {
      const text = title.trim();
      const { room } = await client.documents.create(newRoom(), { title: text === "" ? UNTITLED : text });
      navigate({ view: "document", room, team: identity.team }, { focusText: true });
    } catch (error) {
      const reason = error instanceof RealtimeError ? reasonOf(error) : "it failed.";
      setProblem(`The document was not created: ${reason}`);
      setBusy(false);
      document.getElementById(fieldId)?.focus();
    }
  };
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (!isBusy) void create();
  };
  return (
    <form className="create" onSubmit={submit} noValidate>
      <label htmlFor={fieldId}>New document</label>
      <div className="create-row">
        <input
          id={fieldId}
          value={title}
          placeholder="What is it about?"
          autoComplete="off"
          enterKeyHint="go"
          maxLength={TITLE_LENGTH_MAX}
          aria-invalid={problem !== undefined}
          aria-describedby={problemId}
          onChange={({ target }) => setTitle(target.value)}
        />
        <button type="submit" className="button primary" aria-disabled={isBusy}>
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
