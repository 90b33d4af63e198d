import { RealtimeError } from "@realtime-server/client";
import { useState } from "react";
import { Link } from "../navigation/Link";
import type { Identity } from "../session/identity";
import { announce } from "../status/announcer";
import { reasonOf } from "@realtime-server/client/kit";
import { ownerOf, sendCopy } from "./send";
import { discardCopy, textOfCopy, type UnsentCopy } from "./unsentCopies";
import { useUnsentCopies } from "./useUnsentCopies";

const moment = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });

/** Edits that other people of this browser have left without sending them: they can be sent, read, downloaded or discarded. */
export function RecoveredEdits({ identity }: { identity: Identity }) {
  const [copies, readAgain] = useUnsentCopies();
  const others = copies.filter(({ team, user }) => team !== identity.team || user !== identity.id);
  if (others.length === 0) return null;
  return (
    <section className="recovered" aria-labelledby="recovered-title">
      <h2 id="recovered-title">Recovered edits</h2>
      <p className="hint">They were written in this browser and are not sent yet. They are kept on this device.</p>
      <ul>
        {others.map((copy) => (
          <Recovered
            key={`${copy.team}/${copy.user}/${copy.room}`}
            copy={copy}
            identity={identity}
            onDone={readAgain}
          />
        ))}
      </ul>
    </section>
  );
}

interface RecoveredProps {
  copy: UnsentCopy;
  identity: Identity;
  onDone: () => void;
}

function Recovered({ copy, identity, onDone }: RecoveredProps) {
  const [state, setState] = useState<"idle" | "sending" | "asking">("idle");
  const [problem, setProblem] = useState<string>();
  const owner = ownerOf(copy);
  const send = async () => {
    setState("sending");
    setProblem(undefined);
    try {
      await sendCopy(copy);
      announce("The edits are sent.");
      onDone();
    } catch (cause) {
      const reason = cause instanceof RealtimeError ? reasonOf(cause) : "something unexpected happened.";
      setProblem(`They could not be sent: ${reason}`);
    }
    setState("idle");
  };
  const discard = async () => {
    await discardCopy(copy);
    announce("The edits are discarded.");
    onDone();
  };
  const words = copy.words === 0 ? "changes" : copy.words === 1 ? "1 word" : `${copy.words.toLocaleString()} words`;
  return (
    <li>
      <p>
        <strong>
          {copy.team === identity.team ? (
            <Link to={{ view: "document", room: copy.room, team: copy.team }}>{copy.title}</Link>
          ) : (
            `${copy.title} (team ${copy.team})`
          )}
        </strong>
        <span className="hint">
          {words} by {owner.name}, {moment.format(copy.since)}
        </span>
      </p>
      {problem && (
        <p className="problem" role="alert">
          {problem}
        </p>
      )}
      <div className="form-actions">
        {state === "asking" ? (
          <>
            <span>They cannot be brought back.</span>
            <button type="button" className="button" onClick={() => setState("idle")}>
              Keep them
            </button>
            <button type="button" className="button" onClick={() => void discard()}>
              Discard them
            </button>
          </>
        ) : (
          <>
            <button type="button" className="button" onClick={() => setState("asking")}>
              Discard
            </button>
            <button type="button" className="button" onClick={() => void download(copy)}>
              Download
            </button>
            <button type="button" className="button primary" disabled={state === "sending"} onClick={() => void send()}>
              {state === "sending" ? "Sending…" : `Send as ${owner.name}`}
            </button>
          </>
        )}
      </div>
    </li>
  );
}

/** Saves the text of the copy as a file. */
async function download(copy: UnsentCopy): Promise<void> {
  const address = URL.createObjectURL(new Blob([await textOfCopy(copy)], { type: "text/plain" }));
  const link = Object.assign(document.createElement("a"), { href: address, download: `${copy.title}.txt` });
  link.click();
  URL.revokeObjectURL(address);
}
