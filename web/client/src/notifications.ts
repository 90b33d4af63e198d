import { withoutId } from "./channels.js";
import type { RealtimeClient } from "./client.js";
import type { Live } from "./live.js";
import { LivePages, type ItemPage, type PagesState } from "./pages.js";
import type { Notification, NotificationChoice, ServerEvents } from "./protocol.js";
import type { WaitOptions } from "./wait.js";

/** The inbox of this user: the newest notifications first. */
export interface InboxState extends PagesState<Notification> {
  /** How many are unread, as the server counts them: the same on every tab and device. */
  readonly unread: number;
}

/** The notifications of this user. */
export class Notifications {
  readonly #client: RealtimeClient;
  #inbox: Inbox | undefined;

  /** Use `client.notifications`. */
  constructor(client: RealtimeClient) {
    this.#client = client;
  }

  /** The inbox, kept up to date: one for all who use it. */
  get inbox(): Live<InboxState> & { readonly refresh: () => void; readonly loadMore: () => void } {
    this.#inbox ??= new Inbox(this.#client);
    return this.#inbox;
  }

  /** Marks notifications as read, on every tab and device. @throws {RealtimeError} */
  async markRead(which: readonly string[] | "all", options?: WaitOptions): Promise<void> {
    await this.#client.request("notification_read", choice(which), options);
  }

  /** Deletes notifications. @throws {RealtimeError} */
  async remove(which: readonly string[] | "all", options?: WaitOptions): Promise<void> {
    await this.#client.request("notification_delete", choice(which), options);
  }

  /** The kinds of which this user is not notified. @throws {RealtimeError} */
  async muted(options?: WaitOptions): Promise<string[]> {
    return (await this.#client.request("notification_preferences", {}, options)).muted;
  }

  /** Sets the kinds of which this user is not notified. @throws {RealtimeError} `invalid` with the field `muted`. */
  async mute(kinds: readonly string[], options?: WaitOptions): Promise<string[]> {
    return (await this.#client.request("notification_preferences", { muted: [...kinds] }, options)).muted;
  }
}

function choice(which: readonly string[] | "all"): NotificationChoice {
  return which === "all" ? { all: true } : { ids: [...which] };
}

class Inbox extends LivePages<Notification, InboxState> {
  constructor(client: RealtimeClient) {
    super(client, { items: undefined, hasMore: false, isLoadingMore: false, error: undefined, unread: 0 });
  }

  protected async page(cursor: string | undefined, signal: AbortSignal): Promise<ItemPage<Notification>> {
    const answer = await this.client.request("notification_list", { ...(cursor && { cursor }) }, { signal });
    this.change({ unread: answer.unread });
    return { items: answer.notifications, cursor: answer.next_cursor };
  }

  protected listen(): (() => void)[] {
    const { client } = this;
    const { connection } = client;
    if (connection) this.change({ unread: connection.unread });
    return [
      client.subscribe("connection", ({ unread }) => this.change({ unread })),
      client.subscribe("notification", (told) => this.#told(told)),
      client.subscribe("notification_read", (told) => this.#read(told)),
      client.subscribe("notification_deleted", (told) => this.#deleted(told)),
    ];
  }

  #told(told: ServerEvents["notification"]): void {
    const { unread, ...notification } = withoutId(told);
    this.apply(() => {
      this.change({ unread });
      this.replaceItems((items) => [notification, ...items.filter(({ id }) => id !== notification.id)]);
    });
  }

  #read({ ids, all, unread }: ServerEvents["notification_read"]): void {
    const read_at = new Date().toISOString();
    this.apply(() => {
      this.change({ unread });
      this.replaceItems((items) =>
        items.map((item) => (item.read_at || !(all || ids.includes(item.id)) ? item : { ...item, read_at })),
      );
    });
  }

  #deleted({ ids, all, unread }: ServerEvents["notification_deleted"]): void {
    this.apply(() => {
      this.change({ unread });
      this.replaceItems((items) => (all ? [] : items.filter(({ id }) => !ids.includes(id))));
    });
  }
}
