import { useConnection, useDocument } from "@realtime-server/client/react";
import type { Editor } from "@tiptap/react";
import { useEffect, useState } from "react";
import { offlineStatus, useAwaySince } from "../copies/offline";
import { useCopy } from "../copies/useCopy";
import { roomProblem } from "../list/room";
import { useArrival } from "../navigation/useArrival";
import { useSession } from "../session/session";
import { Banner } from "../status/Banner";
import { documentStatus } from "../status/status";
import { useUnsavedWarning } from "../status/unsaved";
import { useAway } from "../status/useAway";
import { Icon } from "../ui/Icon";
import { accessOf } from "./access";
import { DocumentHeader } from "./DocumentHeader";
import { EndedNotice } from "./EndedNotice";
import { ObstacleNotice, UnusableName } from "./Obstacle";
import { openCopy } from "./persistence";
import { TextEditor } from "./TextEditor";
import { Toolbar } from "./Toolbar";
import { useCaretUser, usePresence } from "./useCaretUser";
import { useRebuilds } from "./useRebuilds";

/** The view of one document. */
export function DocumentView({ room }: { room: string }) {
  // A document that has ended does not change any more. To continue, it is opened again.
  const [opening, setOpening] = useState(0);
  useEffect(() => {
    document.title = `${room} · Realtime Server`;
  }, [room]);
  const problem = roomProblem(room);
  if (problem !== undefined) return <UnusableName room={room} problem={problem} />;
  return <OpenDocument key={opening} room={room} onReopen={() => setOpening(opening + 1)} />;
}

function OpenDocument({ room, onReopen }: { room: string; onReopen: () => void }) {
  const { identity } = useSession();
  const used = useDocument(room, { persistence: openCopy(identity.team, identity.id) });
  const { provider, ended } = used;
  const rebuilds = useRebuilds(provider);
  const isAway = useAway();
  const [editor, setEditor] = useState<Editor>();
  const copy = useCopy(provider);
  const since = useAwaySince(isAway);
  const status = offlineStatus(documentStatus(useConnection(), isAway, used), isAway, since, used, copy);
  const access = accessOf(used, isAway);
  const main = useArrival();
  const user = useCaretUser(identity);
  usePresence(provider, user);
  useUnsavedWarning(provider);
  return (
    <>
      <header className="top">
        <DocumentHeader room={room} status={status} provider={provider} />
        {access === "edit" && editor && <Toolbar editor={editor} />}
        {access === "view" && !ended && (
          <p className="view-only">
            <Icon name="eye" />
            View only: you can read and copy this document, but not change it.
          </p>
        )}
        {(access === "opening" || (access === "edit" && !editor)) && <div className="toolbar" />}
        <Banner status={status} isAway={isAway} />
      </header>
      <main ref={main} className="column document" id="content" aria-label={room} tabIndex={-1}>
        {ended && <EndedNotice ended={ended} onReopen={onReopen} />}
        {typeof access === "object" ? (
          <ObstacleNotice obstacle={access} room={room} role={identity.role} />
        ) : (
          provider && (
            <TextEditor key={`${provider.doc.guid} ${rebuilds}`} {...{ provider, user, access }} onEditor={setEditor} />
          )
        )}
      </main>
    </>
  );
}
