import { RealtimeError, type DocumentInfo } from "@realtime-server/client";
import { reasonOf } from "@realtime-server/client/kit";
import { useState } from "react";

interface ActionButtonProps {
  label: string;
  /** What is said before the reason if the request fails. */
  failure: string;
  run: () => Promise<DocumentInfo>;
  onDone: (info: DocumentInfo) => void;
}

/** The main action of a notice: a request about the document. */
export function ActionButton({ label, failure, run, onDone }: ActionButtonProps) {
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string>();
  const act = async () => {
    if (isBusy) return;
    setBusy(true);
    setProblem(undefined);
    try {
      onDone(await run());
    } catch (error) {
      setProblem(`${failure}: ${error instanceof RealtimeError ? reasonOf(error) : "it failed."}`);
    }
    setBusy(false);
  };
  return (
    <>
      <button type="button" className="button primary" aria-disabled={isBusy} onClick={() => void act()}>
        {label}
      </button>
      {problem !== undefined && (
        <p className="problem" role="alert">
          {problem}
        </p>
      )}
    </>
  );
}
