import { mayWrite, type DocumentState } from "@realtime-server/client";
import { reasonOf } from "@realtime-server/client/kit";

/** The reason why a document cannot be shown at all. */
export type Obstacle =
  | { readonly kind: "not started" }
  | { readonly kind: "forbidden" }
  | { readonly kind: "offline" }
  | { readonly kind: "failed"; readonly reason: string };

/** What the user may do with the text at present. */
export type Access = "opening" | "view" | "edit" | Obstacle;

/** What the user may do with a document, as far as that is known. */
export function accessOf(document: DocumentState, isAway: boolean): Access {
  const { permission, ended, error } = document;
  if (permission !== undefined || ended) return mayWrite(document) ? "edit" : "view";
  if (isAway) return { kind: "offline" };
  if (!error) return "opening";
  if (error.code === "not_found") return { kind: "not started" };
  if (error.code === "forbidden") return { kind: "forbidden" };
  return { kind: "failed", reason: reasonOf(error) };
}
