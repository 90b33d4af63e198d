/** The names of the statuses of the default table, their colours, and the words of the step to each. */
const KNOWN: Readonly<Record<string, { label: string; tone: WorkflowTone; step: string }>> = {
  draft: { label: "Draft", tone: "neutral", step: "Back to draft" },
  in_review: { label: "In review", tone: "busy", step: "Send to review" },
  changes_requested: { label: "Changes requested", tone: "warning", step: "Request changes" },
  approved: { label: "Approved", tone: "good", step: "Approve" },
  scheduled: { label: "Scheduled", tone: "busy", step: "Schedule" },
  published: { label: "Published", tone: "good", step: "Publish" },
  archived: { label: "Archived", tone: "neutral", step: "Archive" },
};

/** The colour of a status: `busy` waits for somebody, `warning` needs work, `good` is well. */
export type WorkflowTone = "neutral" | "busy" | "warning" | "good";

/** The name of a status of the workflow, such as “In review” for `in_review`. A table of its own has names of its own. */
export function statusLabel(status: string): string {
  const label = known(status)?.label;
  if (label !== undefined) return label;
  const words = status.replaceAll("_", " ").trim();
  return words.charAt(0).toLocaleUpperCase() + words.slice(1);
}

/** The colour of a status; `neutral` for one that the default table does not have. */
export function statusTone(status: string): WorkflowTone {
  return known(status)?.tone ?? "neutral";
}

/** The words of the button that moves a document to a status. */
export function stepLabel(to: string): string {
  return known(to)?.step ?? `Move to “${statusLabel(to)}”`;
}

function known(status: string) {
  return Object.hasOwn(KNOWN, status) ? KNOWN[status] : undefined;
}
