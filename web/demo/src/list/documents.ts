import type { DocumentInfo, DocumentMetadata, DocumentQuery } from "@realtime-server/client";
import type { Identity } from "../session/identity";

/** The orders of the list. */
export type Sort = NonNullable<DocumentQuery["sort"]>;

/** What the list shows. */
export type ShownQuery = Readonly<{ q: string; sort: Sort; trash: boolean; status: string | undefined }>;

/** The title of a document, or the name of its room where it has none. */
export function titleOf({ title, room }: Pick<DocumentMetadata, "title" | "room">): string {
  return title ?? room;
}

/** Whether this user may change the document and its title. */
export function mayEdit({ permission }: DocumentInfo): boolean {
  return permission === "edit" || permission === "manage";
}

/** Whether this user may move the document to the trash, and restore it. */
export function mayDelete({ permission, created_by }: DocumentInfo, { id }: Identity): boolean {
  return permission === "manage" || created_by.id === id;
}
