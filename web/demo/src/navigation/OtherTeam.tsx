import { useEffect } from "react";
import { Link } from "./Link";
import { useArrival } from "./useArrival";
import { changeIdentity, useSession } from "../session/session";
import { Notice } from "../ui/Notice";

/** The view of a link to a document of another team than that of this user. Nothing of either team is asked for or opened. */
export function OtherTeam({ team }: { team: string }) {
  const { identity } = useSession();
  const main = useArrival();
  useEffect(() => {
    document.title = "Another team · Realtime Server";
  }, []);
  return (
    <main ref={main} className="column" id="content" tabIndex={-1}>
      <h1 className="visually-hidden">Another team</h1>
      <Notice title="This link is for another team" icon="eye">
        <p>
          It leads to a document of the team “{team}”, and you are here in the team “{identity.team}”. If it was meant
          for you, go on in that team.
        </p>
        <div className="notice-actions">
          <button type="button" className="button primary" onClick={() => changeIdentity({ ...identity, team })}>
            Go on in the team “{team}”
          </button>
          <Link to={{ view: "list" }} className="button">
            All documents
          </Link>
        </div>
      </Notice>
    </main>
  );
}
