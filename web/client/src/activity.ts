import { withoutId } from "./channels.js";
import type { RealtimeClient } from "./client.js";
import { LivePages, type ItemPage, type PagesState } from "./pages.js";
import type { ActivityEntry } from "./protocol.js";

/** Which activity. */
export interface ActivityQuery {
  /** Only what happened to the document of this room. */
  room?: string | undefined;
  /** Only what this person did. */
  actor?: string | undefined;
}

/** What happened in the team, the newest first. */
export type ActivityState = PagesState<ActivityEntry>;

/** The activity of the team, or a part of it, kept up to date while somebody subscribes. */
export class ActivityFeed extends LivePages<ActivityEntry> {
  readonly #query: ActivityQuery;

  /** Use `client.activity`. */
  constructor(client: RealtimeClient, query: ActivityQuery) {
    super(client, { items: undefined, hasMore: false, isLoadingMore: false, error: undefined });
    this.#query = query;
  }

  protected async page(cursor: string | undefined, signal: AbortSignal): Promise<ItemPage<ActivityEntry>> {
    const { room, actor } = this.#query;
    const payload = {
      ...(room !== undefined && { room }),
      ...(actor !== undefined && { actor }),
      ...(cursor && { cursor }),
    };
    const answer = await this.client.request("activity_list", payload, { signal });
    return { items: answer.activities, cursor: answer.next_cursor };
  }

  protected listen(): (() => void)[] {
    return [
      this.client.subscribe("activity", (event) => {
        const entry = withoutId(event);
        const { room, actor } = this.#query;
        if (room !== undefined && entry.room !== room) return;
        if (actor !== undefined && entry.actor.id !== actor) return;
        this.apply(() => this.replaceItems((items) => [entry, ...items.filter(({ id }) => id !== entry.id)]));
      }),
    ];
  }
}
