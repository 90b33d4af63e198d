import { useEffect, useRef, useState, type HTMLAttributes, type MouseEvent } from "react";
import type { Notification } from "../protocol.js";
import { useInbox, useRealtime, useUnread, type UsedInbox } from "../react.js";
import { usePopover } from "./popover.js";
import { useRequest } from "./request.js";
import { Time } from "./Time.js";
import { useNow } from "./time.js";

/** The largest number on the bell. */
const SHOWN_MAX = 99;

/** What the items of an inbox lead to. */
export interface InboxLinks {
  /** The address of what a notification is about, in this application. Without one, the item leads to the `url` of the notification. */
  hrefOf?: ((notification: Notification) => string | undefined) | undefined;
  /** Called when a notification with an address of `hrefOf` is opened in this window, instead of loading that address. */
  onOpen?: ((notification: Notification) => void) | undefined;
}

/** The properties of `Inbox`; others are passed to its outer element. */
export type InboxProps = InboxLinks & HTMLAttributes<HTMLDivElement>;

/**
 * A bell with the number of unread notifications, which opens the list of all. Opening a notification marks it as read, on every tab
 * and device. Screen readers are told of new ones. Its styles are in `kit.css`.
 */
export function Inbox({ hrefOf, onOpen, className, ...rest }: InboxProps) {
  const { isOpen, close, button, popover } = usePopover();
  const unread = useUnread();
  const words = unread === 0 ? "Notifications" : `Notifications, ${unread} unread`;
  return (
    <div {...rest} className={["realtime-inbox", className].filter(Boolean).join(" ")}>
      <button {...button} type="button" className="realtime-bell" aria-label={words}>
        <Bell />
        {unread > 0 && (
          <span className="realtime-count" aria-hidden="true">
            {unread > SHOWN_MAX ? `${SHOWN_MAX}+` : unread}
          </span>
        )}
      </button>
      <div {...popover} className="realtime-popover realtime-inbox-list" role="dialog" aria-label="Notifications">
        {isOpen && <InboxList hrefOf={hrefOf} onOpen={onOpen} onClose={close} />}
      </div>
      <NewNotifications />
    </div>
  );
}

/** Tells screen readers of new notifications. */
function NewNotifications() {
  const client = useRealtime();
  const [words, setWords] = useState("");
  useEffect(
    () =>
      client.subscribe("notification", ({ title, unread }) =>
        setWords(`New notification: ${title}. ${unread} unread.`),
      ),
    [client],
  );
  return (
    <span role="status" className="realtime-hidden">
      {words}
    </span>
  );
}

interface InboxListProps extends InboxLinks {
  onClose: () => void;
}

function InboxList({ hrefOf, onOpen, onClose }: InboxListProps) {
  const inbox = useInbox();
  const now = useNow();
  const { problem, run } = useRequest();
  const title = useRef<HTMLHeadingElement>(null);
  const { items, unread, hasMore, isLoadingMore, loadMore } = inbox;
  const remove = ({ id }: Notification) => {
    // The button that has the focus goes away with its notification.
    title.current?.focus();
    void run("The notification was not removed", () => inbox.remove([id]));
  };
  const read = (which: readonly string[] | "all") =>
    void run("The notifications were not marked as read", () => inbox.markRead(which));
  const open = (event: MouseEvent, notification: Notification) => {
    if (!notification.read_at) read([notification.id]);
    if (!onOpen || hrefOf?.(notification) === undefined || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    onClose();
    onOpen(notification);
  };
  return (
    <>
      <div className="realtime-popover-title">
        <h2 ref={title} tabIndex={-1}>
          Notifications
        </h2>
        {unread > 0 && (
          <button type="button" className="realtime-button" onClick={() => read("all")}>
            Mark all as read
          </button>
        )}
      </div>
      {problem !== undefined && (
        <p className="realtime-problem" role="alert">
          {problem}
        </p>
      )}
      <InboxNote inbox={inbox} />
      {items && items.length > 0 && (
        <ul>
          {items.map((notification) => (
            <Item
              key={notification.id}
              notification={notification}
              href={hrefOf?.(notification) ?? pageOf(notification)}
              now={now}
              onOpen={open}
              onRead={() => read([notification.id])}
              onRemove={() => remove(notification)}
            />
          ))}
        </ul>
      )}
      {hasMore && (
        <button type="button" className="realtime-button" aria-disabled={isLoadingMore} onClick={loadMore}>
          {isLoadingMore ? "Loading…" : "Show more"}
        </button>
      )}
    </>
  );
}

/** Why the list is empty or old. */
function InboxNote({ inbox: { items, error } }: { inbox: UsedInbox }) {
  if (error && error.code !== "disconnected") {
    const what = items ? "This list may be out of date" : "The notifications cannot be listed";
    return <p className="realtime-problem">{`${what}: ${error.message}`}</p>;
  }
  if (!items) return <p className="realtime-note">{error ? "Waiting for the connection…" : "Loading…"}</p>;
  if (items.length > 0) return null;
  return (
    <p className="realtime-note">
      Nothing here yet. You are notified when somebody mentions you, answers you, or moves a document of yours.
    </p>
  );
}

interface ItemProps {
  notification: Notification;
  href: string | undefined;
  now: number;
  onOpen: (event: MouseEvent, notification: Notification) => void;
  onRead: () => void;
  onRemove: () => void;
}

function Item({ notification, href, now, onOpen, onRead, onRemove }: ItemProps) {
  const { title, body, count, created_at, read_at } = notification;
  return (
    <li data-unread={!read_at}>
      <div className="realtime-inbox-text">
        {!read_at && <span className="realtime-hidden">Unread: </span>}
        {href === undefined ? (
          <strong>{title}</strong>
        ) : (
          <a href={href} rel="noreferrer" onClick={(event) => onOpen(event, notification)}>
            {title}
          </a>
        )}
        {body !== undefined && <p>{body}</p>}
        <span className="realtime-inbox-when">
          <Time at={created_at} now={now} />
          {count > 1 && <span>{count} times</span>}
        </span>
      </div>
      <div className="realtime-inbox-actions">
        {!read_at && (
          <button type="button" aria-label={`Mark as read: ${title}`} title="Mark as read" onClick={onRead}>
            <svg viewBox="0 0 20 20" aria-hidden="true" focusable="false">
              <path d="m4.5 10.5 3.7 3.7 7.3-8" />
            </svg>
          </button>
        )}
        <button type="button" aria-label={`Remove: ${title}`} title="Remove" onClick={onRemove}>
          <svg viewBox="0 0 20 20" aria-hidden="true" focusable="false">
            <path d="m5.5 5.5 9 9m0-9-9 9" />
          </svg>
        </button>
      </div>
    </li>
  );
}

function Bell() {
  return (
    <svg viewBox="0 0 20 20" aria-hidden="true" focusable="false">
      <path d="M4 14.5h12M5.5 14.5V9a4.5 4.5 0 0 1 9 0v5.5M8.2 17a2 2 0 0 0 3.6 0" />
    </svg>
  );
}

/** The page to which the service leads that has sent a notification. Only addresses of pages are followed. */
function pageOf({ url }: Notification): string | undefined {
  if (url === undefined || !URL.canParse(url, location.href)) return undefined;
  return /^https?:$/.test(new URL(url, location.href).protocol) ? url : undefined;
}
