import { useEffect, useId, useState, type HTMLAttributes } from "react";
import type { WorkflowState, WorkflowStep } from "../protocol.js";
import { useWorkflow, type UsedWorkflow } from "../react.js";
import { usePopover } from "./popover.js";
import { useRequest } from "./request.js";
import { Time } from "./Time.js";
import { useNow } from "./time.js";
import { statusLabel, statusTone, stepLabel } from "./workflow-words.js";

/** The longest note that the server takes, in bytes of UTF-8. */
const NOTE_BYTES_MAX = 2_048;

/** How many steps of the history are fetched at once. */
const HISTORY_PAGE = 10;

/** A status of the workflow as a coloured badge. */
export function StatusBadge({ status }: { status: string }) {
  return (
    <span className="realtime-workflow-status" data-tone={statusTone(status)}>
      {statusLabel(status)}
    </span>
  );
}

/** The properties of `WorkflowBadge`; others are passed to its outer element. */
export interface WorkflowBadgeProps extends HTMLAttributes<HTMLDivElement> {
  room: string;
}

/**
 * Where a document stands, as a coloured badge. It opens the steps that this user may take, with a note, and the history. Until the
 * server has answered it draws nothing. Its styles are in `kit.css`.
 */
export function WorkflowBadge({ room, className, ...rest }: WorkflowBadgeProps) {
  const used = useWorkflow(room);
  const { isOpen, button, popover } = usePopover();
  const { workflow } = used;
  if (!workflow) return null;
  const label = statusLabel(workflow.status);
  return (
    <div {...rest} className={["realtime-workflow", className].filter(Boolean).join(" ")}>
      <button
        {...button}
        type="button"
        className="realtime-workflow-button"
        aria-label={`Status: ${label}. Show the steps`}
      >
        <StatusBadge status={workflow.status} />
      </button>
      <div {...popover} className="realtime-popover realtime-workflow-menu" role="dialog" aria-label="Status">
        {isOpen && <WorkflowMenu used={used} workflow={workflow} />}
      </div>
      <span role="status" className="realtime-hidden">
        {workflow.by && `${workflow.by.name} moved this document to “${label}”.`}
      </span>
    </div>
  );
}

interface WorkflowMenuProps {
  used: UsedWorkflow;
  workflow: WorkflowState;
}

function WorkflowMenu({ used, workflow }: WorkflowMenuProps) {
  const now = useNow();
  const { status, by, since } = workflow;
  return (
    <>
      <h2>{statusLabel(status)}</h2>
      <p className="realtime-note">
        {by ? `${by.name} moved it ` : "Since it was created, "}
        <Time at={since} now={now} />
      </p>
      <Steps used={used} workflow={workflow} />
      <History key={`${status} ${since}`} used={used} now={now} />
    </>
  );
}

/**
 * The steps from the status that was shown when the menu opened. If somebody moves the document meanwhile, that is said first: other
 * steps must not take the place of those that the user is about to press.
 */
function Steps({ used, workflow }: WorkflowMenuProps) {
  const [seen, setSeen] = useState(workflow.status);
  const [note, setNote] = useState("");
  const { isBusy, problem, code, run, forget } = useRequest();
  const noteId = useId();
  const isTooLong = new TextEncoder().encode(note).length > NOTE_BYTES_MAX;
  const label = statusLabel(workflow.status);
  const isConflict = code === "conflict";
  const take = (to: string) =>
    void run(`The document was not moved to “${statusLabel(to)}”`, async () => {
      const moved = await used.transition(to, note.trim() === "" ? {} : { note: note.trim() });
      setNote("");
      setSeen(moved.status);
    });
  const goOn = () => {
    forget();
    setSeen(workflow.status);
  };
  if (seen !== workflow.status && !isBusy) {
    return (
      <div className="realtime-workflow-moved" role="alert">
        <p>
          {workflow.by?.name ?? "Somebody"} moved this document to “{label}” just now.
          {isConflict && " Your step was not taken."}
        </p>
        <button type="button" className="realtime-button" onClick={goOn}>
          Go on from “{label}”
        </button>
      </div>
    );
  }
  if (workflow.allowed.length === 0) {
    return <p className="realtime-note">You may not move it from here. Others in your team may have the right to.</p>;
  }
  return (
    <div className="realtime-workflow-steps">
      <label htmlFor={noteId}>Note (optional)</label>
      <textarea id={noteId} rows={2} value={note} onChange={({ target }) => setNote(target.value)} />
      {isTooLong && (
        <p className="realtime-problem" role="alert">
          This note is too long: at most {NOTE_BYTES_MAX.toLocaleString("en")} bytes.
        </p>
      )}
      {problem !== undefined && (
        <p className="realtime-problem" role="alert">
          {isConflict ? "Somebody else moved this document just now. Your step was not taken." : problem}
        </p>
      )}
      <div className="realtime-workflow-buttons">
        {workflow.allowed.map((to) => (
          <button
            key={to}
            type="button"
            className="realtime-button"
            aria-disabled={isBusy || isTooLong}
            onClick={() => {
              if (!isBusy && !isTooLong) take(to);
            }}
          >
            {stepLabel(to)}
          </button>
        ))}
      </div>
    </div>
  );
}

/** The steps that were taken, the newest first. */
function History({ used: { history }, now }: { used: UsedWorkflow; now: number }) {
  const [steps, setSteps] = useState<readonly WorkflowStep[]>([]);
  const [next, setNext] = useState<string>();
  const { isBusy, problem, run } = useRequest();
  const load = async (cursor?: string) => {
    await run("The history cannot be shown", async () => {
      const answer = await history({ limit: HISTORY_PAGE, cursor });
      setSteps((before) => (cursor === undefined ? answer.history : [...before, ...answer.history]));
      setNext(answer.next_cursor);
    });
  };
  useEffect(() => {
    void load();
    // The history is that of one status: a step draws this component anew.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, []);
  if (problem !== undefined) return <p className="realtime-problem">{problem}</p>;
  if (steps.length === 0) return null;
  return (
    <section className="realtime-workflow-history" aria-label="History">
      <h3>History</h3>
      <ol>
        {steps.map((step) => (
          <li key={`${step.at} ${step.to}`}>
            <p>
              {step.by.name}: {statusLabel(step.from)} → <b>{statusLabel(step.to)}</b> <Time at={step.at} now={now} />
            </p>
            {step.note !== undefined && <q>{step.note}</q>}
          </li>
        ))}
      </ol>
      {next !== undefined && (
        <button type="button" className="realtime-button" aria-disabled={isBusy} onClick={() => void load(next)}>
          Show more
        </button>
      )}
    </section>
  );
}
