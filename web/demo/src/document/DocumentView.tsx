import { ConnectionBanner, useAway, useDocumentStatus } from "@realtime-server/client/kit";
import { useDocument } from "@realtime-server/client/react";
import type { Editor } from "@tiptap/react";
import { useEffect, useState } from "react";
import { roomProblem } from "../list/room";
import { useArrival } from "../navigation/useArrival";
import { useSession } from "../session/session";
import { useUnsavedWarning } from "../status/unsaved";
import { Icon } from "../ui/Icon";
import { accessOf } from "./access";
import { DocumentHeader } from "./DocumentHeader";
import { EndedNotice } from "./EndedNotice";
import { ObstacleNotice, UnusableName } from "./Obstacle";
import { openCopy } from "./persistence";
import { TextEditor } from "./TextEditor";
import { Toolbar } from "./Toolbar";

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
  const isAway = useAway();
  const [editor, setEditor] = useState<Editor>();
  const status = useDocumentStatus(used);
  const access = accessOf(used, isAway);
  const main = useArrival();
  useUnsavedWarning(provider);
  return (
    <>
      <header className="top">
        <DocumentHeader room={room} status={status} provider={provider} editor={editor} />
        {access === "edit" && editor && <Toolbar editor={editor} />}
        {access === "view" && !ended && (
          <p className="view-only">
            <Icon name="eye" />
            View only: you can read and copy this document, but not change it.
          </p>
        )}
        {(access === "opening" || (access === "edit" && !editor)) && <div className="toolbar" />}
        <ConnectionBanner status={status} data-testid="banner" />
      </header>
      <main ref={main} className="column document" id="content" aria-label={room} tabIndex={-1}>
        {ended && <EndedNotice ended={ended} onReopen={onReopen} />}
        {typeof access === "object" ? (
          <ObstacleNotice obstacle={access} room={room} role={identity.role} />
        ) : (
          provider && <TextEditor key={provider.doc.guid} provider={provider} access={access} onEditor={setEditor} />
        )}
      </main>
    </>
  );
}
