import { useAnnouncement } from "./announcer";
import type { Status } from "./status";

/** The status in a few words. Screen readers read changes of it, in whole sentences. */
export function StatusLabel({ status }: { status: Status }) {
  useAnnouncement(status.sentence ?? status.label);
  return (
    <p className="status" data-tone={status.tone} data-testid="status">
      {status.label}
    </p>
  );
}
