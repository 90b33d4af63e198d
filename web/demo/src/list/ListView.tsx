import { ConnectionBanner, useAway, useConnectionStatus } from "@realtime-server/client/kit";
import { useConnection } from "@realtime-server/client/react";
import { useEffect, useState } from "react";
import { Footer } from "../connect/Footer";
import { useArrival } from "../navigation/useArrival";
import { RecoveredEdits } from "../recovery/RecoveredEdits";
import { mayWrite, type Identity } from "../session/identity";
import { useSession } from "../session/session";
import { listStatus } from "../status/listStatus";
import { setTitle } from "../status/title";
import { useUnsavedDocuments } from "../status/unsaved";
import { Header } from "../ui/Header";
import { CreateForm } from "./CreateForm";
import { DocumentList } from "./DocumentList";
import type { ShownQuery } from "./documents";
import { ListTools } from "./ListTools";

/** The team's documents, and the form that creates one. */
export function ListView() {
  const { identity } = useSession();
  const isAway = useAway();
  const status = listStatus(useConnectionStatus(), useUnsavedDocuments());
  const isWriter = useIsWriter(identity);
  const [query, setQuery] = useState<ShownQuery>({ q: "", sort: "updated", trash: false, status: undefined });
  const main = useArrival();
  useEffect(() => {
    setTitle("Documents");
  }, []);
  return (
    <>
      <header className="top">
        <Header title="Documents" status={status} before={<img src="./favicon.svg" alt="" width={32} height={32} />} />
        <ConnectionBanner status={status} data-testid="banner" />
      </header>
      <main ref={main} className="column" id="content" aria-label="Documents" tabIndex={-1}>
        {isWriter ? (
          <CreateForm identity={identity} />
        ) : (
          <p className="note">
            You are here as a {identity.role}: you can read documents, but not make new ones. Editors and admins can.
          </p>
        )}
        <RecoveredEdits identity={identity} />
        <ListTools query={query} onChange={setQuery} />
        <DocumentList key={String(query.trash)} {...{ identity, query, isWriter, isAway }} />
      </main>
      <Footer />
    </>
  );
}

/** Whether the user may create documents: according to the server, or to the role before the first connection. */
function useIsWriter({ role }: Identity): boolean {
  const { connection } = useConnection();
  return connection ? connection.rights.includes("edit") : mayWrite(role);
}
