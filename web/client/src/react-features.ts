"use client";

/** React hooks for comments, notifications, workflow and activity. */
import { useMemo, useSyncExternalStore } from "react";
import type { ActivityFeed, ActivityQuery, ActivityState } from "./activity.js";
import type { InboxState } from "./notifications.js";
import type { Thread } from "./protocol.js";
import { useRealtime } from "./react-context.js";
import type { Threads, ThreadsState } from "./threads.js";
import type { DocumentWorkflow, Workflow } from "./workflow.js";

/** The threads of a document, and what can be done with them. */
export type UsedThreads = ThreadsState & { readonly threads: Threads };

/**
 * The threads of comments on a document, the newest first; renders again when one changes. Use `useDocument` for the same room as
 * well: its events go to those who have it open. Components that need one thread only: `useThread`.
 */
export function useThreads(room: string): UsedThreads {
  const client = useRealtime();
  const threads = useMemo(() => client.threads(room), [client, room]);
  const state = useSyncExternalStore(threads.subscribe, threads.getSnapshot, threads.getSnapshot);
  return useMemo(() => ({ ...state, threads }), [state, threads]);
}

/** One of the threads that `useThreads` has returned; renders again when it changes, not when others do. */
export function useThread(threads: Threads, id: string): Thread | undefined {
  const read = () => threads.getSnapshot().items?.find((thread) => thread.id === id);
  return useSyncExternalStore(threads.subscribe, read, read);
}

/** The inbox of this user, and what can be done with it. */
export type UsedInbox = InboxState & {
  readonly loadMore: () => void;
  readonly markRead: (which: readonly string[] | "all") => Promise<void>;
  readonly remove: (which: readonly string[] | "all") => Promise<void>;
};

/** The notifications of this user, the newest first; renders again when they change. */
export function useInbox(): UsedInbox {
  const { notifications } = useRealtime();
  const { inbox } = notifications;
  const state = useSyncExternalStore(inbox.subscribe, inbox.getSnapshot, inbox.getSnapshot);
  return useMemo(
    () => ({
      ...state,
      loadMore: inbox.loadMore,
      markRead: (which) => notifications.markRead(which),
      remove: (which) => notifications.remove(which),
    }),
    [state, inbox, notifications],
  );
}

/** How many notifications are unread: the same on every tab and device. Renders again when the number changes. */
export function useUnread(): number {
  const { inbox } = useRealtime().notifications;
  const read = () => inbox.getSnapshot().unread;
  return useSyncExternalStore(inbox.subscribe, read, read);
}

/** Where a document stands, and how it is moved. */
export type UsedWorkflow = DocumentWorkflow & Pick<Workflow, "transition" | "history">;

/** The workflow of a document; renders again when somebody moves it. */
export function useWorkflow(room: string): UsedWorkflow {
  const client = useRealtime();
  const workflow = useMemo(() => client.workflow(room), [client, room]);
  const state = useSyncExternalStore(workflow.subscribe, workflow.getSnapshot, workflow.getSnapshot);
  return useMemo(
    () => ({
      ...state,
      transition: (to, options) => workflow.transition(to, options),
      history: (options) => workflow.history(options),
    }),
    [state, workflow],
  );
}

/** What happened in the team, and the further pages of it. */
export type UsedActivity = ActivityState & Pick<ActivityFeed, "loadMore">;

/** What happened in the team, or to one document, or by one person, the newest first. */
export function useActivity({ room, actor }: ActivityQuery = {}): UsedActivity {
  const client = useRealtime();
  const feed = useMemo(() => client.activity({ room, actor }), [client, room, actor]);
  const state = useSyncExternalStore(feed.subscribe, feed.getSnapshot, feed.getSnapshot);
  return useMemo(() => ({ ...state, loadMore: feed.loadMore }), [state, feed]);
}
