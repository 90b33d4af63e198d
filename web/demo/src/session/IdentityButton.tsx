import { preferredColor } from "@realtime-server/client";
import { Avatar } from "@realtime-server/client/kit";
import { useState } from "react";
import { IdentityDialog } from "./IdentityDialog";
import { useSession } from "./session";

/** Shows the identity of this window; opens the dialog that changes it. */
export function IdentityButton() {
  const [isOpen, setOpen] = useState(false);
  const { identity } = useSession();
  return (
    <>
      <button
        type="button"
        className="identity-button"
        aria-haspopup="dialog"
        aria-label={`You are ${identity.name}. Change who you are`}
        data-tooltip="Change who you are"
        onClick={() => setOpen(true)}
      >
        <Avatar name={identity.name} color={preferredColor(identity.team, identity.id)} />
        <span className="identity-name">{identity.name}</span>
      </button>
      {isOpen && <IdentityDialog identity={identity} onClose={() => setOpen(false)} />}
    </>
  );
}
