import { useAnnouncement } from "./announcer";
import type { Status } from "./status";

/** How things are, in a few words. What changes is read out, in whole sentences. */
export function StatusLabel({ status }: { status: Status }) {
  useAnnouncement(status.sentence ?? status.label);
  return (
    <p className="status" data-tone={status.tone} data-testid="status">
      {status.label}
    </p>
  );
}
