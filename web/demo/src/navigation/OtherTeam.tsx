import { ConnectionBanner, useConnectionStatus } from "@realtime-server/client/kit";
import { useEffect } from "react";
import { Link } from "./Link";
import { useArrival } from "./useArrival";
import { setTitle } from "../status/title";
import { changeIdentity, useSession } from "../session/session";
import { listStatus } from "../status/listStatus";
import { useUnsavedDocuments } from "../status/unsaved";
import { Header } from "../ui/Header";
import { Icon } from "../ui/Icon";
import { Notice } from "../ui/Notice";

/** The view of a link to a document of another team than that of this user. Nothing of either team is asked for or opened. */
export function OtherTeam({ team }: { team: string }) {
  const { identity } = useSession();
  const main = useArrival();
  useEffect(() => {
    setTitle("Another team");
  }, []);
  const status = listStatus(useConnectionStatus(), useUnsavedDocuments());
  const back = (
    <Link to={{ view: "list" }} className="icon-button" label="All documents" tooltip="All documents">
      <Icon name="back" />
    </Link>
  );
  return (
    <>
      <header className="top">
        <Header title="Another team" status={status} before={back} />
        <ConnectionBanner status={status} data-testid="banner" />
      </header>
      <main ref={main} className="column" id="content" aria-label="Another team" tabIndex={-1}>
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
    </>
  );
}
