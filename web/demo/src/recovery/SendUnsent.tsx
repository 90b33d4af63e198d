import { useConnection, useDocument } from "@realtime-server/client/react";
import { useEffect } from "react";
import { useCopy } from "../copies/useCopy";
import { openCopy } from "../document/persistence";
import type { Identity } from "../session/identity";
import { useUnsentCopies } from "./useUnsentCopies";

/** How many documents are opened at once to send what earlier windows have not sent. */
const AT_ONCE_MAX = 3;

/** Sends the edits that earlier windows of this person have not sent, without opening their documents. It draws nothing. */
export function SendUnsent({ identity }: { identity: Identity }) {
  const { status } = useConnection();
  const [copies, readAgain] = useUnsentCopies();
  if (status !== "connected") return null;
  const own = copies.filter(({ team, user }) => team === identity.team && user === identity.id);
  return own
    .slice(0, AT_ONCE_MAX)
    .map(({ room }) => <Send key={room} room={room} identity={identity} onSent={readAgain} />);
}

function Send({ room, identity, onSent }: { room: string; identity: Identity; onSent: () => void }) {
  const { provider, saved, synced } = useDocument(room, { persistence: openCopy(identity.team, identity.id) });
  const copy = useCopy(provider);
  const isSent = saved && synced && copy !== undefined && copy.kept === undefined;
  useEffect(() => {
    if (isSent) onSent();
  }, [isSent, onSent]);
  return null;
}
