import type { DocumentInfo, DocumentProvider } from "@realtime-server/client";
import { WorkflowBadge, type Status } from "@realtime-server/client/kit";
import type { Editor } from "@tiptap/react";
import { ActivityButton } from "../activity/ActivityButton";
import { TitleField } from "../list/TitleField";
import { Link } from "../navigation/Link";
import { Header } from "../ui/Header";
import { Icon } from "../ui/Icon";
import { People } from "./People";
import { ShareButton } from "./ShareButton";

interface DocumentHeaderProps {
  room: string;
  title: string;
  /** The document, if this user may change its title. */
  info: DocumentInfo | undefined;
  onInfo: (info: DocumentInfo) => void;
  status: Status;
  /** Whether the document is there, and this user may view it. */
  isOpen: boolean;
  provider: DocumentProvider | undefined;
  editor: Editor | undefined;
}

/** The top of a document: the link to the list, the document's title and status, the people in it. */
export function DocumentHeader({ room, title, info, onInfo, status, isOpen, provider, editor }: DocumentHeaderProps) {
  const back = (
    <Link to={{ view: "list" }} className="icon-button" label="All documents" tooltip="All documents">
      <Icon name="back" />
    </Link>
  );
  const field = info && <TitleField document={info} onSaved={onInfo} />;
  return (
    <Header title={title} titleField={field} status={status} before={back}>
      {isOpen && (
        <div className="document-tools">
          <WorkflowBadge room={room} data-testid="workflow" />
          <ActivityButton room={room} title={title} />
        </div>
      )}
      <People provider={provider} editor={editor} />
      <ShareButton room={room} />
    </Header>
  );
}
