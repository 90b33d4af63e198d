import { useState } from "react";
import { Dialog } from "../ui/Dialog";
import { Icon } from "../ui/Icon";
import { Activity } from "./Activity";

interface ActivityButtonProps {
  /** The document whose activity is shown; without it, that of the team is. */
  room?: string;
  title?: string;
}

/** Opens what happened in the team, or to one document. */
export function ActivityButton({ room, title }: ActivityButtonProps) {
  const [isOpen, setOpen] = useState(false);
  const close = () => setOpen(false);
  return (
    <>
      <button type="button" className="button activity-button" onClick={() => setOpen(true)}>
        <Icon name="activity" />
        <span>Activity</span>
      </button>
      {isOpen && (
        <Dialog
          title={title === undefined ? "What happened in the team" : `What happened to “${title}”`}
          onClose={close}
        >
          <Activity room={room} title={title} onLeave={close} />
        </Dialog>
      )}
    </>
  );
}
