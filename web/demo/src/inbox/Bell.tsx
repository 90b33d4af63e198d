import type { Notification } from "@realtime-server/client";
import { Inbox } from "@realtime-server/client/kit";
import { addressOf, navigate, type Route } from "../navigation/route";
import { useSession } from "../session/session";

/** The notifications of this user. One about a document opens it, and names the thread of comments in the address. */
export function Bell() {
  const { team } = useSession().identity;
  const routeOf = ({ room, thread_id }: Notification): Route | undefined =>
    room === undefined ? undefined : { view: "document", room, team, thread: thread_id };
  const hrefOf = (notification: Notification) => {
    const route = routeOf(notification);
    return route && addressOf(route);
  };
  const open = (notification: Notification) => {
    const route = routeOf(notification);
    if (route) navigate(route);
  };
  return <Inbox hrefOf={hrefOf} onOpen={open} data-testid="inbox" />;
}
