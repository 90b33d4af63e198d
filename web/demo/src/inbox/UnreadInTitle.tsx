import { useUnread } from "@realtime-server/client/react";
import { useEffect, useRef } from "react";
import { setTitleCount } from "../status/title";

/** Shows the number of unread notifications in the title of the tab, if new ones have come while the page was hidden. */
export function UnreadInTitle() {
  const unread = useUnread();
  const latest = useRef(unread);
  /** How many were unread when the page was hidden; undefined while it is visible. */
  const hidden = useRef<number>(undefined);
  useEffect(() => {
    latest.current = unread;
    if (hidden.current !== undefined) setTitleCount(unread > hidden.current ? unread : 0);
  }, [unread]);
  useEffect(() => {
    const follow = () => {
      hidden.current = document.hidden ? latest.current : undefined;
      setTitleCount(0);
    };
    follow();
    document.addEventListener("visibilitychange", follow);
    return () => document.removeEventListener("visibilitychange", follow);
  }, []);
  return null;
}
