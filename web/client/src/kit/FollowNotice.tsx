import type { Person } from "../people.js";

/** The properties of `FollowNotice`. */
export interface FollowNoticeProps {
  /** The person who is followed. */
  person: Pick<Person, "name" | "color"> | undefined;
  /** Called when the user no longer wants to follow. */
  onStop: () => void;
}

/** Says at the lower edge of the window whom the user follows. Screen readers read it. Its styles are in `kit.css`. */
export function FollowNotice({ person, onStop }: FollowNoticeProps) {
  return (
    <div className="realtime-follow" role="status">
      {person && (
        <div style={{ borderColor: person.color }}>
          <p>
            Following <strong>{person.name}</strong>
            <span className="realtime-follow-hint">. Scroll or press Escape to stop.</span>
          </p>
          <button type="button" className="realtime-button" onClick={onStop}>
            Stop
          </button>
        </div>
      )}
    </div>
  );
}
