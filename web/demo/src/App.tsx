import { RealtimeProvider } from "@realtime-server/client/react";
import { lazy, Suspense, useEffect } from "react";
import { UnreadInTitle } from "./inbox/UnreadInTitle";
import { ListView } from "./list/ListView";
import { OtherTeam } from "./navigation/OtherTeam";
import { useRoute } from "./navigation/route";
import { SendUnsent } from "./recovery/SendUnsent";
import { useSession } from "./session/session";
import { Announcer } from "./status/announcer";
import { ErrorBoundary } from "./ui/ErrorBoundary";

/** The editor is most of the page's code, and the list does not need it. */
const loadDocumentView = () =>
  import("./document/DocumentView").then(({ DocumentView }) => ({ default: DocumentView }));
const DocumentView = lazy(loadDocumentView);

/** The whole page. It shows one of its two views, depending on the address. */
export function App() {
  const { identity, client } = useSession();
  const route = useRoute();
  useEffect(() => {
    // The editor is loaded while the user reads the list. If that fails, opening a document loads it again.
    loadDocumentView().catch(() => undefined);
  }, []);
  return (
    <RealtimeProvider client={client}>
      <a className="skip-link" href="#content">
        Skip to the content
      </a>
      <ErrorBoundary key={route.view}>
        {route.view === "list" ? (
          <ListView key={identity.team} />
        ) : route.team !== undefined && route.team !== identity.team ? (
          <OtherTeam team={route.team} />
        ) : (
          <Suspense fallback={<p className="loading">Opening…</p>}>
            <DocumentView key={`${identity.team}/${route.room}`} room={route.room} />
          </Suspense>
        )}
      </ErrorBoundary>
      <SendUnsent identity={identity} />
      <UnreadInTitle />
      <Announcer />
    </RealtimeProvider>
  );
}
