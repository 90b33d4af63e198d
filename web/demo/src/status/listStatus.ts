import type { Status } from "@realtime-server/client/kit";

/** The status of the list. Documents whose view was left may still have edits that are not saved. */
export function listStatus(status: Status, unsavedDocuments: number): Status {
  if (unsavedDocuments === 0) return status;
  const label =
    unsavedDocuments === 1 ? "a document is not saved yet" : `${unsavedDocuments} documents are not saved yet`;
  return { ...status, tone: status.tone === "calm" ? "busy" : status.tone, label: `${status.label}, ${label}` };
}
