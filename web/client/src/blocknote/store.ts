import { createExtension, type ExtensionFactoryInstance } from "@blocknote/core";
import { CommentsExtension, ThreadStore, type CommentData, type ThreadData, type User } from "@blocknote/core/comments";
import type { DocumentProvider } from "../document.js";
import { RealtimeError } from "../error.js";
import type { Thread, User as Author } from "../protocol.js";
import { people } from "../people.js";
import type { Threads } from "../threads.js";
import { RealtimeThreadStoreAuth } from "./auth.js";
import { textOfBlocks } from "./body.js";
import { ThreadMarks } from "./marks.js";
import { commentData, threadData } from "./thread-data.js";

/** The options of a `RealtimeThreadStore`. */
export interface RealtimeThreadStoreOptions {
  /** The document. A store belongs to one provider: create a new store for another one. */
  provider: DocumentProvider;
  /** The threads of the document, as `client.threads(room)` and `useThreads` give them. */
  threads: Threads;
  /**
   * Called when the server has refused what this user did, or could not be reached: show it. BlockNote does not show errors of a store.
   * The text that the user has written stays in BlockNote's composer.
   */
  onError?: ((error: RealtimeError) => void) | undefined;
}

/** The body of a comment, as BlockNote gives it: the document of its editor. Metadata is not stored. */
interface WrittenComment {
  body: unknown;
}

/** A thread and a comment in it. */
interface CommentPlace {
  threadId: string;
  commentId: string;
}

/**
 * The threads of a document as the `ThreadStore` of BlockNote. They are the threads that every other client of the document sees.
 *
 * BlockNote keeps the text of a thread as a mark in the document, and the server knows it by its anchor: the store writes both. The
 * `extension` has to be among the extensions of the editor, after `CommentsExtension`.
 *
 * All methods that change something throw a `RealtimeError`, as those of `Threads` do, after they have called `onError`.
 */
export class RealtimeThreadStore extends ThreadStore {
  /** For the extensions of the editor: it knows the selected text, and keeps the marks of the threads. */
  readonly extension: ExtensionFactoryInstance;
  readonly #provider: DocumentProvider;
  readonly #threads: Threads;
  readonly #onError: ((error: RealtimeError) => void) | undefined;
  readonly #marks: ThreadMarks;
  /** Those who have resolved threads and whose names BlockNote has. */
  readonly #known = new Set<string>();
  readonly #subscribers = new Set<() => void>();
  #converted = new WeakMap<Thread, ThreadData>();
  #shown: { items: readonly Thread[] | undefined; threads: Map<string, ThreadData> } | undefined;

  constructor({ provider, threads, onError }: RealtimeThreadStoreOptions) {
    super(new RealtimeThreadStoreAuth(provider.client, (id) => this.#find(id)));
    this.#provider = provider;
    this.#threads = threads;
    this.#onError = onError;
    this.#marks = new ThreadMarks(provider, threads);
    this.extension = createExtension(({ editor }) => ({
      key: "realtimeThreads",
      // In the CommonJS build the type is of another file.
      prosemirrorPlugins: [this.#marks.plugin() as never],
      mount: () =>
        this.#introduceResolvers((users) => editor.getExtension(CommentsExtension)?.userStore.loadUsers(users)),
    }))();
  }

  /** The people of the threads and of the document, for the option `resolveUsers` of BlockNote. It is bound. */
  readonly resolveUsers = (ids: string[]): Promise<User[]> => {
    const known = this.#people();
    return Promise.resolve(ids.map((id) => known.get(id) ?? person(id, "Someone")));
  };

  /** Begins a thread about the selected text of the editor; without one, about the whole document. */
  async createThread({ initialComment }: { initialComment: WrittenComment }): Promise<ThreadData> {
    const selected = this.#marks.selected();
    const thread = await this.#ask(() => this.#threads.create({ ...textOfBlocks(initialComment.body), ...selected }));
    return this.#convert(thread);
  }

  /** Marks the text of a thread in the document, where it is now. Without the right to edit somebody else's window does it. */
  addThreadToDocument({ threadId }: { threadId: string }): Promise<void> {
    const thread = this.#find(threadId);
    if (thread) this.#marks.write([thread]);
    return Promise.resolve();
  }

  async addComment({ threadId, comment }: { threadId: string; comment: WrittenComment }): Promise<CommentData> {
    return commentData(await this.#ask(() => this.#threads.reply(threadId, textOfBlocks(comment.body))));
  }

  async updateComment({ commentId, comment }: CommentPlace & { comment: WrittenComment }): Promise<void> {
    await this.#ask(() => this.#threads.edit(commentId, textOfBlocks(comment.body)));
  }

  async deleteComment({ threadId, commentId }: CommentPlace): Promise<void> {
    await this.#ask(() => this.#threads.remove({ id: commentId, thread_id: threadId }));
  }

  async deleteThread({ threadId }: { threadId: string }): Promise<void> {
    await this.#ask(() => this.#threads.removeThread(threadId));
  }

  async resolveThread({ threadId }: { threadId: string }): Promise<void> {
    await this.#ask(() => this.#threads.resolve(threadId));
  }

  async unresolveThread({ threadId }: { threadId: string }): Promise<void> {
    await this.#ask(() => this.#threads.reopen(threadId));
  }

  async addReaction({ commentId, emoji }: CommentPlace & { emoji: string }): Promise<void> {
    await this.#ask(() => this.#threads.react(commentId, emoji, true));
  }

  async deleteReaction({ commentId, emoji }: CommentPlace & { emoji: string }): Promise<void> {
    await this.#ask(() => this.#threads.react(commentId, emoji, false));
  }

  /** @throws {RealtimeError} `not_found`, if there is no such thread among those that have been fetched. */
  getThread(threadId: string): ThreadData {
    const thread = this.getThreads().get(threadId);
    if (!thread) throw new RealtimeError("not_found", `there is no thread ${threadId}`);
    return thread;
  }

  /** The threads that have been fetched: all of them, while somebody subscribes. The same object until something changes. */
  getThreads(): Map<string, ThreadData> {
    const { items } = this.#threads.getSnapshot();
    if (!this.#shown || this.#shown.items !== items) {
      this.#shown = { items, threads: new Map((items ?? []).map((thread) => [thread.id, this.#convert(thread)])) };
    }
    return this.#shown.threads;
  }

  /** Fetches the threads, and calls `changed` after each change of them, until the returned function is called. */
  subscribe(changed: (threads: Map<string, ThreadData>) => void): () => void {
    const subscriber = () => changed(this.getThreads());
    this.#subscribers.add(subscriber);
    let { items } = this.#threads.getSnapshot();
    const unsubscribe = this.#threads.subscribe(() => {
      if (this.#threads.getSnapshot().items === items) return;
      ({ items } = this.#threads.getSnapshot());
      subscriber();
    });
    this.#threads.loadAll();
    return () => {
      this.#subscribers.delete(subscriber);
      unsubscribe();
    };
  }

  async #ask<T>(request: () => Promise<T>): Promise<T> {
    try {
      return await request();
    } catch (cause) {
      const error = cause instanceof RealtimeError ? cause : new RealtimeError("internal", undefined, { cause });
      this.#onError?.(error);
      throw error;
    }
  }

  /** Gives BlockNote the names of those who have resolved threads, before it shows that they have. */
  #introduceResolvers(load: (users: string[]) => Promise<void> | undefined): () => void {
    const check = () => {
      const resolvers = (this.#threads.getSnapshot().items ?? []).flatMap(({ resolved_by }) => resolved_by?.id ?? []);
      const unknown = [...new Set(resolvers)].filter((user) => !this.#known.has(user));
      if (unknown.length > 0) void load(unknown)?.then(() => this.#introduced(unknown));
    };
    const unsubscribe = this.#threads.subscribe(check);
    check();
    return unsubscribe;
  }

  #introduced(users: readonly string[]): void {
    for (const user of users) this.#known.add(user);
    this.#converted = new WeakMap();
    this.#shown = undefined;
    for (const subscriber of [...this.#subscribers]) subscriber();
  }

  #find(id: string): Thread | undefined {
    return this.#threads.getSnapshot().items?.find((thread) => thread.id === id);
  }

  #convert(thread: Thread): ThreadData {
    const known = this.#converted.get(thread);
    if (known) return known;
    const converted = threadData(thread, (user) => this.#known.has(user));
    this.#converted.set(thread, converted);
    return converted;
  }

  /** The people who are known here: those who have the document open, and those of the threads, who win. */
  #people(): Map<string, User> {
    const { client, awareness } = this.#provider;
    const self = client.connection?.user;
    const present = people(awareness).map(({ id, name, avatarUrl }) => person(id, name, avatarUrl));
    const threads = this.#threads.getSnapshot().items ?? [];
    const authors: Author[] = threads.flatMap(({ created_by, resolved_by, comments }) => [
      created_by,
      ...(resolved_by ? [resolved_by] : []),
      ...comments.map(({ author }) => author),
    ]);
    const known = [...authors, ...(self ? [self] : [])].map(({ id, name, avatar_url }) => person(id, name, avatar_url));
    return new Map([...present, ...known].map((user) => [user.id, user]));
  }
}

function person(id: string, username: string, avatarUrl = ""): User {
  return { id, username, avatarUrl };
}
