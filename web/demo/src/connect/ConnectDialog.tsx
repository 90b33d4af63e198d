import { useId, useRef, useState, type KeyboardEvent } from "react";
import type { Identity } from "../session/identity";
import { Dialog } from "../ui/Dialog";
import { CopyButton } from "./CopyButton";
import { snippetsOf } from "./snippets";
import { useOwnToken } from "./useOwnToken";

/** Shows code that connects an app to this server, ready to be copied. */
export function ConnectDialog({ identity, onClose }: { identity: Identity; onClose: () => void }) {
  const { token, problem } = useOwnToken(identity);
  const snippets = snippetsOf({ url: location.origin, team: identity.team, token });
  const [chosen, setChosen] = useState(0);
  const tabs = useRef<HTMLDivElement>(null);
  const id = useId();
  const snippet = snippets[chosen];
  const move = (event: KeyboardEvent) => {
    const last = snippets.length - 1;
    const to = { ArrowRight: chosen + 1, ArrowLeft: chosen - 1, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = (to + snippets.length) % snippets.length;
    setChosen(next);
    tabs.current?.querySelectorAll<HTMLButtonElement>("[role='tab']")[next]?.focus();
  };
  return (
    <Dialog title="Connect your app" wide onClose={onClose}>
      <div ref={tabs} className="tabs" role="tablist" aria-label="Kinds of code" onKeyDown={move}>
        {snippets.map(({ title }, at) => (
          <button
            key={title}
            type="button"
            role="tab"
            id={`${id}-tab-${at}`}
            aria-selected={at === chosen}
            aria-controls={`${id}-panel`}
            tabIndex={at === chosen ? 0 : -1}
            onClick={() => setChosen(at)}
          >
            {title}
          </button>
        ))}
      </div>
      {snippet && (
        <div className="snippet" role="tabpanel" id={`${id}-panel`} aria-labelledby={`${id}-tab-${chosen}`}>
          <p className="hint">{snippet.hint}</p>
          <div className="snippet-code">
            <pre tabIndex={0} aria-label={`Code: ${snippet.title}`}>
              <code>{snippet.code}</code>
            </pre>
            <CopyButton code={snippet.code} />
          </div>
          {problem !== undefined && <p className="problem">There is no token yet: {problem}</p>}
        </div>
      )}
      <p className="hint">
        Everything works as it is while the server is in development. <a href="./docs/client">The documentation</a> has
        the rest: tokens of your own login, editors, errors.
      </p>
    </Dialog>
  );
}
