import { useEffect, useRef, useState } from "react";
import { preferredColor } from "../color.js";
import type { Comment } from "../protocol.js";
import type { Threads } from "../threads.js";
import { Avatar } from "./Avatar.js";
import { Composer } from "./Composer.js";
import type { Mentionable } from "./ComposerMentions.js";
import { CommentBody, Moment } from "./ThreadsBody.js";

/** What the parts of the list of threads have in common. */
export interface ThreadContext {
  readonly threads: Threads;
  readonly people: readonly Mentionable[];
  /** The id of the user of this window, and the user's team. */
  readonly self: string | undefined;
  readonly team: string;
  readonly mayComment: boolean;
  readonly now: number;
  /** Does something, and shows why it failed. `deed` completes “Could not …”. */
  readonly attempt: (deed: string, action: () => Promise<unknown>) => void;
}

/** The reactions that are offered. */
const EMOJI = ["👍", "❤️", "😄", "🎉", "👀", "✅"] as const;

interface CommentProps {
  comment: Comment;
  context: ThreadContext;
  /** Whether its thread is open for work: then it can be changed. */
  isActive: boolean;
}

/** One comment of a thread. */
export function CommentItem({ comment, context, isActive }: CommentProps) {
  const { threads, people, self, team, now } = context;
  const { author, body } = comment;
  const [isEditing, setEditing] = useState(false);
  const isOwn = author.id === self && context.mayComment;
  if (comment.deleted_at !== undefined) {
    return <p className="realtime-comment realtime-comment-deleted">{author.name} deleted a comment.</p>;
  }
  return (
    <div className="realtime-comment">
      <div className="realtime-comment-head">
        <Avatar
          name={author.name}
          color={people.find(({ id }) => id === author.id)?.color ?? preferredColor(team, author.id)}
        />
        <span className="realtime-comment-author">{author.name}</span>
        <span className="realtime-comment-time">
          <Moment at={comment.created_at} now={now} />
          {comment.edited_at !== undefined && " (edited)"}
        </span>
      </div>
      {isEditing ? (
        <Composer
          label="Edit your comment"
          sendLabel="Save"
          people={people}
          initial={body}
          focused
          onCancel={() => setEditing(false)}
          onSend={async (changed) => {
            await threads.edit(comment.id, changed);
            setEditing(false);
          }}
        />
      ) : (
        <>
          <CommentBody body={body} people={people} />
          <Reactions comment={comment} context={context} isActive={isActive} />
          {isOwn && isActive && <OwnActions comment={comment} context={context} onEdit={() => setEditing(true)} />}
        </>
      )}
    </div>
  );
}

function Reactions({ comment, context, isActive }: CommentProps) {
  const { threads, self, mayComment, people, attempt } = context;
  const [isChoosing, setChoosing] = useState(false);
  const nameOf = (id: string) => (id === self ? "you" : (people.find((person) => person.id === id)?.name ?? "someone"));
  const isOn = (emoji: string) => self !== undefined && comment.reactions[emoji]?.includes(self) === true;
  const toggle = (emoji: string) => {
    setChoosing(false);
    attempt("react", () => threads.react(comment.id, emoji, !isOn(emoji)));
  };
  const given = Object.entries(comment.reactions).filter(([, ids]) => ids.length > 0);
  const mayReact = mayComment && isActive;
  if (given.length === 0 && !mayReact) return null;
  return (
    <div className="realtime-reactions" role="group" aria-label="Reactions">
      {given.map(([emoji, ids]) => (
        <button
          key={emoji}
          type="button"
          className="realtime-reaction"
          aria-pressed={isOn(emoji)}
          aria-label={`${emoji} ${ids.length}, from ${ids.slice(0, 10).map(nameOf).join(", ")}`}
          title={ids.slice(0, 10).map(nameOf).join(", ")}
          disabled={!mayComment}
          onClick={() => toggle(emoji)}
        >
          {emoji} {ids.length}
        </button>
      ))}
      {mayReact && (
        <button
          type="button"
          className="realtime-reaction"
          aria-label="React"
          aria-expanded={isChoosing}
          onClick={() => setChoosing(!isChoosing)}
        >
          <svg viewBox="0 0 20 20" aria-hidden="true" focusable="false">
            <path d="M10 2.5a7.5 7.5 0 1 1 0 15 7.5 7.5 0 0 1 0-15zM7 8.2h.01M13 8.2h.01M6.8 12a4 4 0 0 0 6.4 0" />
          </svg>
        </button>
      )}
      {isChoosing &&
        EMOJI.filter((emoji) => !given.some(([known]) => known === emoji)).map((emoji) => (
          <button
            key={emoji}
            type="button"
            className="realtime-reaction"
            aria-label={`React with ${emoji}`}
            onClick={() => toggle(emoji)}
          >
            {emoji}
          </button>
        ))}
    </div>
  );
}

interface OwnActionsProps extends Omit<CommentProps, "isActive"> {
  onEdit: () => void;
}

/** What the author can do with a comment. Deleting asks once more. */
function OwnActions({ comment, context: { threads, attempt }, onEdit }: OwnActionsProps) {
  const [isAsking, setAsking] = useState(false);
  const confirm = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (isAsking) confirm.current?.focus();
  }, [isAsking]);
  if (!isAsking) {
    return (
      <div className="realtime-comment-actions">
        <button type="button" onClick={onEdit}>
          Edit
        </button>
        <button type="button" onClick={() => setAsking(true)}>
          Delete
        </button>
      </div>
    );
  }
  return (
    <div className="realtime-comment-actions" role="group" aria-label="Delete this comment?">
      <button
        ref={confirm}
        type="button"
        className="realtime-danger"
        onClick={() => attempt("delete the comment", () => threads.remove(comment))}
      >
        Delete for everyone
      </button>
      <button type="button" onClick={() => setAsking(false)}>
        Keep
      </button>
    </div>
  );
}
