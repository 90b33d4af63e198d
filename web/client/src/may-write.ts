import type { DocumentState } from "./state.js";

/** Whether the user may write at present: false until the rights are known, without the right to edit, and once the document ended. */
export function mayWrite({ permission, readOnly, ended, status, error }: DocumentState): boolean {
  // Somebody who has lost the right to open the document keeps its content, but can write no more.
  const isLost = status === "disconnected" && error !== undefined;
  return permission !== undefined && !readOnly && !ended && !isLost;
}
