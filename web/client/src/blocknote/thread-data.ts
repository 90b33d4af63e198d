import type { CommentData, ThreadData } from "@blocknote/core/comments";
import type { Comment, Thread } from "../protocol.js";
import { blocksOfText } from "./body.js";

/**
 * A thread as BlockNote shows it. Deleted comments are left out, because BlockNote has the button that resolves a thread at the first
 * one. `isKnown` says whether BlockNote has the name of a person: it fails to draw a thread if it lacks the one who has resolved it.
 */
export function threadData(thread: Thread, isKnown: (user: string) => boolean): ThreadData {
  const { id, status, quote, orphaned, created_at, resolved_at, resolved_by } = thread;
  const comments = thread.comments.filter(({ deleted_at }) => !deleted_at).map(commentData);
  const times = [created_at, resolved_at ?? created_at].map((time) => new Date(time));
  return {
    type: "thread",
    id,
    createdAt: new Date(created_at),
    updatedAt: latest([...times, ...comments.map(({ updatedAt }) => updatedAt)]),
    comments,
    resolved: status === "resolved",
    ...(resolved_at !== undefined && { resolvedUpdatedAt: new Date(resolved_at) }),
    ...(resolved_by && isKnown(resolved_by.id) && { resolvedBy: resolved_by.id }),
    metadata: { quote, orphaned },
  };
}

/** A comment as BlockNote shows it. The time of a reaction is that of its comment: the server does not keep it. */
export function commentData(comment: Comment): CommentData {
  const { id, author, body, mentions, reactions, created_at, edited_at } = comment;
  const createdAt = new Date(created_at);
  return {
    type: "comment",
    id,
    userId: author.id,
    createdAt,
    updatedAt: edited_at === undefined ? createdAt : new Date(edited_at),
    reactions: Object.entries(reactions).map(([emoji, userIds]) => ({ emoji, createdAt, userIds: [...userIds] })),
    metadata: { mentions },
    body: blocksOfText(body),
  };
}

function latest(times: readonly Date[]): Date {
  return new Date(Math.max(...times.map((time) => time.getTime())));
}
