import type { DocumentInfo } from "@realtime-server/client";
import { ConnectionBanner, useAway, useDocumentStatus } from "@realtime-server/client/kit";
import { useDocument } from "@realtime-server/client/react";
import type { Editor } from "@tiptap/react";
import { useEffect, useState } from "react";
import { CommentedText } from "../comments/CommentedText";
import { offlineStatus, useAwaySince } from "../copies/offline";
import { useCopy } from "../copies/useCopy";
import { mayEdit, titleOf } from "../list/documents";
import { roomProblem } from "../list/room";
import { useArrival } from "../navigation/useArrival";
import { useSession } from "../session/session";
import { setTitle } from "../status/title";
import { useUnsavedWarning } from "../status/unsaved";
import { Icon } from "../ui/Icon";
import { AbsentDocument } from "./AbsentDocument";
import { accessOf } from "./access";
import { DocumentHeader } from "./DocumentHeader";
import { EndedNotice } from "./EndedNotice";
import { ObstacleNotice, UnusableName } from "./Obstacle";
import { openCopy } from "./persistence";
import { Toolbar } from "./Toolbar";
import { useDocumentInfo, type UsedInfo } from "./useDocumentInfo";

/** The view of one document. */
export function DocumentView({ room }: { room: string }) {
  const problem = roomProblem(room);
  if (problem !== undefined) return <UnusableName room={room} problem={problem} />;
  return <KnownDocument room={room} />;
}

/** Opens a document that is there. One that is not is told apart: opening it would create an empty one. */
function KnownDocument({ room }: { room: string }) {
  const { identity } = useSession();
  const used = useDocumentInfo(room, identity);
  const { asked } = used;
  const info = asked.kind === "found" || asked.kind === "deleted" ? asked.info : undefined;
  // A document that was open stays open when it is deleted: its text is shown, to be copied.
  const [isOpen, setOpen] = useState(false);
  if (asked.kind === "found" && !isOpen) setOpen(true);
  // A document that has ended does not change any more. To continue, it is opened again.
  const [opening, setOpening] = useState(0);
  const title = info ? titleOf(info) : room;
  useEffect(() => {
    setTitle(asked.kind === "not begun" || asked.kind === "no access" ? "No document" : title);
  }, [title, asked.kind]);
  if (!isOpen && asked.kind !== "found") return <AbsentDocument room={room} asked={asked} onInfo={used.apply} />;
  return <OpenDocument key={opening} room={room} used={used} info={info} onReopen={() => setOpening(opening + 1)} />;
}

interface OpenDocumentProps {
  room: string;
  used: UsedInfo;
  info: DocumentInfo | undefined;
  onReopen: () => void;
}

function OpenDocument({ room, used: { apply }, info, onReopen }: OpenDocumentProps) {
  const { identity } = useSession();
  const used = useDocument(room, { persistence: openCopy(identity.team, identity.id) });
  const { provider, ended } = used;
  const isAway = useAway();
  const [editor, setEditor] = useState<Editor>();
  const copy = useCopy(provider);
  const since = useAwaySince(isAway);
  const status = offlineStatus(useDocumentStatus(used), isAway, since, used, copy);
  const access = accessOf(used, isAway);
  const main = useArrival();
  useUnsavedWarning(provider);
  const title = info ? titleOf(info) : room;
  const isTitleEditable = info !== undefined && mayEdit(info) && access === "edit";
  return (
    <>
      <header className="top">
        <DocumentHeader
          {...{ room, title, status, provider, editor }}
          info={isTitleEditable ? info : undefined}
          onInfo={apply}
          isOpen={!ended && typeof access === "string"}
        />
        {access === "edit" && editor && <Toolbar editor={editor} />}
        {access === "view" && !ended && (
          <p className="view-only">
            <Icon name="eye" />
            {used.permission === "view"
              ? "View only: you can read and copy this document, but not change it."
              : "You can comment on this document, but not change it."}
          </p>
        )}
        {(access === "opening" || (access === "edit" && !editor)) && <div className="toolbar" />}
        <ConnectionBanner status={status} data-testid="banner" />
      </header>
      <main ref={main} className="column document" id="content" aria-label={title} tabIndex={-1}>
        {ended && <EndedNotice {...{ ended, info, onReopen }} onInfo={apply} />}
        {typeof access === "object" ? (
          <ObstacleNotice obstacle={access} role={identity.role} />
        ) : (
          provider && (
            <CommentedText
              key={provider.doc.guid}
              {...{ provider, access }}
              permission={ended ? undefined : used.permission}
              onEditor={setEditor}
            />
          )
        )}
      </main>
    </>
  );
}
