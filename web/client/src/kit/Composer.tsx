import {
  useEffect,
  useId,
  useLayoutEffect,
  useRef,
  useState,
  type SyntheticEvent,
  type HTMLAttributes,
  type KeyboardEvent,
  type RefObject,
} from "react";
import { preferredColor } from "../color.js";
import { RealtimeError } from "../error.js";
import type { NewComment } from "../threads.js";
import { Avatar } from "./Avatar.js";
import { matching, mentionAt, mentioned, type Mentionable } from "./ComposerMentions.js";
import { useKnownConnection } from "./hooks.js";
import { reasonOf } from "./reason.js";

/** The properties of `Composer`; others are passed to its form. */
export interface ComposerProps extends Omit<HTMLAttributes<HTMLFormElement>, "onSubmit"> {
  /** What is written, for screen readers: “Comment”, “Reply to Ana”. */
  label: string;
  /** The label of the button that sends. */
  sendLabel: string;
  /** The people who can be mentioned. */
  people: readonly Mentionable[];
  /** Sends. The text stays, and the reason is shown, if the promise is rejected. */
  onSend: (comment: NewComment) => Promise<unknown>;
  /** Called by Escape, and by a button. Without it there is no such button. */
  onCancel?: (() => void) | undefined;
  /** The text to begin with: that of a comment which is edited. */
  initial?: string;
  /** Whether the field gets the focus at once. */
  focused?: boolean;
}

/** The longest comment that the server takes, in bytes. */
const BODY_BYTES_MAX = 16 * 1024;

/**
 * A field for a comment, as high as its text. Ctrl+Enter, or Command+Enter, sends; Escape cancels. `@` completes the names of people,
 * whose ids are sent as `mentions`. What is written stays when sending fails. Its styles are in `kit.css`.
 */
export function Composer({ label, sendLabel, people, onSend, onCancel, initial, focused, ...rest }: ComposerProps) {
  const field = useRef<HTMLTextAreaElement>(null);
  const [body, setBody] = useState(initial ?? "");
  const [problem, setProblem] = useState<string>();
  const [isSending, setSending] = useState(false);
  const chosen = useRef(new Map<string, string>());
  const completion = useCompletion(field, body, people, (text, person) => {
    if (person) chosen.current.set(person.name, person.id);
    setBody(text);
  });
  useFocus(field, focused === true);
  const isEmpty = body.trim() === "";

  const send = async () => {
    if (isEmpty || isSending) return;
    if (new TextEncoder().encode(body).length > BODY_BYTES_MAX) {
      setProblem("This comment is too long: it may have 16 KiB.");
      return;
    }
    setSending(true);
    try {
      await onSend({ body: body.trim(), mentions: mentioned(body, people, chosen.current) });
      setBody("");
      setProblem(undefined);
      chosen.current.clear();
    } catch (error) {
      setProblem(`This was not sent: ${reasonOfAny(error)} Your text is still here.`);
      field.current?.focus();
    }
    setSending(false);
  };
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    void send();
  };
  const press = (event: KeyboardEvent) => {
    // Keys of an input method are not those of this field.
    if (event.nativeEvent.isComposing || completion.press(event)) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      void send();
    } else if (event.key === "Escape" && onCancel) {
      event.preventDefault();
      event.stopPropagation();
      onCancel();
    }
  };
  return (
    <form {...rest} className="realtime-composer" onSubmit={submit}>
      <div className="realtime-composer-field" data-text={`${body} `}>
        <textarea
          ref={field}
          rows={1}
          aria-label={label}
          placeholder={label}
          value={body}
          readOnly={isSending}
          aria-invalid={problem !== undefined}
          {...completion.attributes}
          onChange={({ target }) => {
            setBody(target.value);
            completion.look(target.value, target.selectionStart);
          }}
          onKeyDown={press}
          onBlur={completion.close}
        />
        {completion.list}
      </div>
      {problem && (
        <p role="alert" className="realtime-problem">
          {problem}
        </p>
      )}
      {(focused === true || !isEmpty || onCancel) && (
        <div className="realtime-composer-actions">
          {onCancel && (
            <button type="button" className="realtime-button" onClick={onCancel}>
              Cancel
            </button>
          )}
          <button type="submit" className="realtime-button realtime-primary" disabled={isEmpty || isSending}>
            {sendLabel}
          </button>
        </div>
      )}
    </form>
  );
}

function useFocus(field: RefObject<HTMLTextAreaElement | null>, isFocused: boolean): void {
  useEffect(() => {
    const { current } = field;
    if (!isFocused || !current) return;
    current.focus({ preventScroll: true });
    current.setSelectionRange(current.value.length, current.value.length);
  }, [field, isFocused]);
}

/** Why something failed, as a sentence that follows a colon. */
export function reasonOfAny(error: unknown): string {
  if (!(error instanceof RealtimeError)) return "something went wrong.";
  if (error.code === "disconnected" || error.code === "timeout") return "there is no connection to the server.";
  return reasonOf(error);
}

/** The list of people below the field while a name is typed after an `@`. */
function useCompletion(
  field: RefObject<HTMLTextAreaElement | null>,
  body: string,
  people: readonly Mentionable[],
  onText: (text: string, person?: Mentionable) => void,
) {
  const id = useId();
  const team = useKnownConnection()?.team ?? "";
  const [at, setAt] = useState<{ start: number; end: number; query: string }>();
  const [index, setIndex] = useState(0);
  const found = at ? matching(people, at.query) : [];
  const isOpen = found.length > 0;
  const current = Math.min(index, found.length - 1);
  // React sets the caret to the end of a text that it changes.
  const caret = useRef<number>(undefined);
  useLayoutEffect(() => {
    if (caret.current === undefined) return;
    field.current?.setSelectionRange(caret.current, caret.current);
    caret.current = undefined;
  });
  const choose = (person: Mentionable) => {
    if (!at) return;
    const words = `@${person.name} `;
    onText(body.slice(0, at.start) + words + body.slice(at.end), person);
    setAt(undefined);
    caret.current = at.start + words.length;
  };
  const press = (event: KeyboardEvent): boolean => {
    const person = found[current];
    if (!person || event.ctrlKey || event.metaKey) return false;
    if (event.key === "ArrowDown") setIndex((current + 1) % found.length);
    else if (event.key === "ArrowUp") setIndex((current + found.length - 1) % found.length);
    else if (event.key === "Enter" || event.key === "Tab") choose(person);
    else if (event.key === "Escape") setAt(undefined);
    else return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  };
  const list = (
    <>
      <span role="status" className="realtime-hidden">
        {isOpen && `${found.length === 1 ? "1 person" : `${found.length} people`}. Arrow keys choose, Enter mentions.`}
      </span>
      {isOpen && (
        <ul id={id} role="listbox" aria-label="People" className="realtime-mentions">
          {found.map((person, place) => (
            <li
              key={person.id}
              id={`${id}-${place}`}
              role="option"
              aria-selected={place === current}
              // The field keeps the focus.
              onPointerDown={(event) => event.preventDefault()}
              onClick={() => choose(person)}
            >
              <Avatar name={person.name} color={person.color ?? preferredColor(team, person.id)} />
              <span className="realtime-name">{person.name}</span>
            </li>
          ))}
        </ul>
      )}
    </>
  );
  const attributes = {
    "aria-autocomplete": "list",
    "aria-haspopup": "listbox",
    "aria-controls": isOpen ? id : undefined,
    "aria-activedescendant": isOpen ? `${id}-${current}` : undefined,
  } as const;
  const look = (text: string, caret: number) => {
    setAt(mentionAt(text, caret));
    setIndex(0);
  };
  return { list, attributes, press, look, close: () => setAt(undefined) };
}
