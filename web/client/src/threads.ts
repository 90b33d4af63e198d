import type { RealtimeClient } from "./client.js";
import { LivePages, type ItemPage, type PagesState } from "./pages.js";
import type { Anchor, Comment, Thread } from "./protocol.js";
import { requestOnce } from "./repeat.js";
import type { WaitOptions } from "./wait.js";

/** The threads of a document, the newest first. */
export type ThreadsState = PagesState<Thread>;

/** What a new thread begins with. */
export interface NewThread {
  body: string;
  /** The text that it is about: see `anchorOf`. */
  anchor?: Anchor | undefined;
  /** The text that was selected: it stays when the text is changed. */
  quote?: string | undefined;
  /** The ids of the people who are mentioned, and notified. */
  mentions?: readonly string[] | undefined;
}

/** What a new comment has. */
export type NewComment = Pick<NewThread, "body" | "mentions">;

/** How many threads are fetched at once. */
const PAGE = 100;

/**
 * The threads of a document, kept up to date while somebody subscribes and the document is open: its events go to those who have
 * joined it.
 *
 * All methods throw a `RealtimeError`: `forbidden`, `not_found`, `invalid` with `field`, `too_large`, `conflict`, `disconnected`. What
 * creates something is sent once more after a loss of the connection, and created once.
 */
export class Threads extends LivePages<Thread> {
  readonly room: string;

  /** Use `client.threads(room)`. */
  constructor(client: RealtimeClient, room: string) {
    super(client, { items: undefined, hasMore: false, isLoadingMore: false, error: undefined });
    this.room = room;
  }

  /** Begins a thread. Needs the right to comment. */
  async create({ body, anchor, quote, mentions }: NewThread, options?: WaitOptions): Promise<Thread> {
    const payload = {
      room: this.room,
      body,
      ...(anchor && { anchor }),
      ...(quote !== undefined && { quote }),
      ...named(mentions),
    };
    const { thread } = await requestOnce(this.client, "thread_create", payload, options);
    this.#put(thread);
    return thread;
  }

  /** Adds a comment to a thread; a resolved thread is opened by it. */
  async reply(threadId: string, { body, mentions }: NewComment, options?: WaitOptions): Promise<Comment> {
    const payload = { thread_id: threadId, body, ...named(mentions) };
    const { comment } = await requestOnce(this.client, "comment_create", payload, options);
    this.#putComment(comment);
    return comment;
  }

  /** Gives a comment of this user another text. */
  async edit(commentId: string, { body, mentions }: NewComment, options?: WaitOptions): Promise<Comment> {
    const payload = { comment_id: commentId, body, ...named(mentions) };
    const { comment } = await this.client.request("comment_edit", payload, options);
    this.#putComment(comment);
    return comment;
  }

  /** Deletes a comment. A thread goes with its last comment. */
  async remove(comment: Pick<Comment, "id" | "thread_id">, options?: WaitOptions): Promise<void> {
    await this.client.request("comment_delete", { comment_id: comment.id }, options);
    this.#removeComment(comment.thread_id, comment.id);
  }

  /** Deletes a thread with all its comments. */
  async removeThread(threadId: string, options?: WaitOptions): Promise<void> {
    await this.client.request("thread_delete", { thread_id: threadId }, options);
    this.#remove(threadId);
  }

  async resolve(threadId: string, options?: WaitOptions): Promise<Thread> {
    return this.#changed(await this.client.request("thread_resolve", { thread_id: threadId }, options));
  }

  async reopen(threadId: string, options?: WaitOptions): Promise<Thread> {
    return this.#changed(await this.client.request("thread_reopen", { thread_id: threadId }, options));
  }

  /** Adds this user's reaction, or takes it back. */
  async react(commentId: string, emoji: string, isOn: boolean, options?: WaitOptions): Promise<Comment> {
    const event = isOn ? "reaction_add" : "reaction_remove";
    const { comment } = await this.client.request(event, { comment_id: commentId, emoji }, options);
    this.#putComment(comment);
    return comment;
  }

  protected async page(cursor: string | undefined, signal: AbortSignal): Promise<ItemPage<Thread>> {
    const payload = { room: this.room, limit: PAGE, ...(cursor && { cursor }) };
    const answer = await this.client.request("thread_list", payload, { signal });
    return { items: answer.threads, cursor: answer.next_cursor };
  }

  protected listen(): (() => void)[] {
    const { client } = this;
    const isHere = ({ room }: { room: string }) => room === this.room;
    // What happened before the room was joined did not arrive.
    const joined = (room: string) => room === this.room && this.refresh();
    client.on("joined", joined);
    return [
      () => client.off("joined", joined),
      client.subscribe("thread_created", ({ thread }) => isHere(thread) && this.#put(thread)),
      client.subscribe("thread_updated", ({ thread }) => isHere(thread) && this.#put(thread)),
      client.subscribe("thread_deleted", (event) => isHere(event) && this.#remove(event.thread_id)),
      client.subscribe("comment_created", (event) => isHere(event) && this.#putComment(event.comment)),
      client.subscribe("comment_updated", (event) => isHere(event) && this.#putComment(event.comment)),
      client.subscribe(
        "comment_deleted",
        (event) => isHere(event) && this.#removeComment(event.thread_id, event.comment_id),
      ),
    ];
  }

  #changed({ thread }: { thread: Thread }): Thread {
    this.#put(thread);
    return thread;
  }

  #put(thread: Thread): void {
    this.apply(() =>
      this.replaceItems((threads) =>
        threads.some(({ id }) => id === thread.id)
          ? threads.map((other) => (other.id === thread.id ? thread : other))
          : [thread, ...threads],
      ),
    );
  }

  #remove(threadId: string): void {
    this.apply(() => this.replaceItems((threads) => threads.filter(({ id }) => id !== threadId)));
  }

  #putComment(comment: Comment): void {
    this.#inThread(comment.thread_id, ({ comments }) =>
      comments.some(({ id }) => id === comment.id)
        ? comments.map((other) => (other.id === comment.id ? comment : other))
        : [...comments, comment],
    );
  }

  /** A deleted comment stays as a place without text while the thread has others. */
  #removeComment(threadId: string, commentId: string): void {
    const deleted_at = new Date().toISOString();
    this.#inThread(threadId, ({ comments }) =>
      comments.map((other) =>
        other.id === commentId && !other.deleted_at
          ? { ...other, body: "", mentions: [], reactions: {}, deleted_at }
          : other,
      ),
    );
  }

  #inThread(threadId: string, change: (thread: Thread) => Comment[]): void {
    this.apply(() =>
      this.replaceItems((threads) =>
        threads
          .map((thread) => (thread.id === threadId ? { ...thread, comments: change(thread) } : thread))
          .filter(({ comments }) => comments.some((comment) => !comment.deleted_at)),
      ),
    );
  }
}

function named(mentions: readonly string[] | undefined): { mentions?: string[] } {
  return mentions ? { mentions: [...mentions] } : {};
}
