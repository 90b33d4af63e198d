import type { ActivityEntry } from "@realtime-server/client";
import { ActivityFeed } from "@realtime-server/client/kit";
import { useDocuments } from "@realtime-server/client/react";
import { titleOf } from "../list/documents";
import { addressOf, navigate, type Route } from "../navigation/route";
import { useSession } from "../session/session";

interface ActivityProps {
  room: string | undefined;
  title: string | undefined;
  /** Called when another view is opened from here. */
  onLeave: () => void;
}

/** The activity of the team, whose entries lead to their documents, or that of one document. */
export function Activity({ room, title, onLeave }: ActivityProps) {
  return room === undefined ? (
    <TeamActivity onLeave={onLeave} />
  ) : (
    <ActivityFeed room={room} titleOf={() => title} data-testid="activity" />
  );
}

function TeamActivity({ onLeave }: Pick<ActivityProps, "onLeave">) {
  const { team } = useSession().identity;
  const { documents } = useDocuments();
  const titles = new Map(documents?.map((document) => [document.room, titleOf(document)]));
  const routeOf = ({ room, subject }: ActivityEntry): Route | undefined => {
    const thread = subject?.thread_id;
    if (room === undefined) return undefined;
    return { view: "document", room, team, thread: typeof thread === "string" ? thread : undefined };
  };
  const hrefOf = (entry: ActivityEntry) => {
    const route = routeOf(entry);
    return route && addressOf(route);
  };
  const open = (entry: ActivityEntry) => {
    const route = routeOf(entry);
    onLeave();
    if (route) navigate(route);
  };
  return <ActivityFeed titleOf={(room) => titles.get(room)} hrefOf={hrefOf} onOpen={open} data-testid="activity" />;
}
