import type { DocumentProvider } from "@realtime-server/client";
import type { Status } from "@realtime-server/client/kit";
import type { Editor } from "@tiptap/react";
import { Link } from "../navigation/Link";
import { Header } from "../ui/Header";
import { Icon } from "../ui/Icon";
import { People } from "./People";
import { ShareButton } from "./ShareButton";

interface DocumentHeaderProps {
  room: string;
  status: Status;
  provider: DocumentProvider | undefined;
  editor: Editor | undefined;
}

/** The top of a document: the link to the list, the document's name, the people in it. */
export function DocumentHeader({ room, status, provider, editor }: DocumentHeaderProps) {
  const back = (
    <Link to={{ view: "list" }} className="icon-button" label="All documents" tooltip="All documents">
      <Icon name="back" />
    </Link>
  );
  return (
    <Header title={room} status={status} before={back}>
      <People provider={provider} editor={editor} />
      <ShareButton room={room} />
    </Header>
  );
}
