import { ThreadStoreAuth, type CommentData, type ThreadData } from "@blocknote/core/comments";
import type { RealtimeClient } from "../client.js";
import type { Connection, Right, Thread } from "../protocol.js";

/**
 * What BlockNote offers this user, by the rights of the connection; while there is none, by those of the last one. The server checks each
 * request again.
 */
export class RealtimeThreadStoreAuth extends ThreadStoreAuth {
  readonly #client: RealtimeClient;
  readonly #threadOf: (id: string) => Thread | undefined;
  #last: Connection | undefined;

  constructor(client: RealtimeClient, threadOf: (id: string) => Thread | undefined) {
    super();
    this.#client = client;
    this.#threadOf = threadOf;
  }

  canCreateThread(): boolean {
    return this.#has("comment");
  }

  canAddComment(): boolean {
    return this.#has("comment");
  }

  canUpdateComment({ userId }: CommentData): boolean {
    return this.#isSelf(userId);
  }

  canDeleteComment({ userId }: CommentData): boolean {
    return this.#isSelf(userId) || this.#has("manage");
  }

  canDeleteThread({ id }: ThreadData): boolean {
    return this.#isSelf(this.#threadOf(id)?.created_by.id) || this.#has("manage");
  }

  canResolveThread(): boolean {
    return this.#has("comment") || this.#has("review");
  }

  canUnresolveThread(): boolean {
    return this.canResolveThread();
  }

  canAddReaction({ reactions }: CommentData, emoji?: string): boolean {
    return this.#has("comment") && (emoji === undefined || !this.#hasReacted(reactions, emoji));
  }

  canDeleteReaction({ reactions }: CommentData, emoji?: string): boolean {
    return this.#has("comment") && (emoji === undefined || this.#hasReacted(reactions, emoji));
  }

  get #connection(): Connection | undefined {
    this.#last = this.#client.connection ?? this.#last;
    return this.#last;
  }

  #has(right: Right): boolean {
    return this.#connection?.rights.includes(right) ?? false;
  }

  #isSelf(user: string | undefined): boolean {
    return user !== undefined && this.#connection?.user.id === user;
  }

  #hasReacted(reactions: CommentData["reactions"], emoji: string): boolean {
    return reactions.some(
      (reaction) => reaction.emoji === emoji && reaction.userIds.some((user) => this.#isSelf(user)),
    );
  }
}
