import { Link } from "../navigation/Link";

interface EndedNoticeProps {
  ended: "deleted" | "replaced";
  onReopen: () => void;
}

/** Explains that the document has ended and only its old text is shown, and how to continue. */
export function EndedNotice({ ended, onReopen }: EndedNoticeProps) {
  const isDeleted = ended === "deleted";
  return (
    <section className="ended" aria-label="This document has ended">
      <h2>{isDeleted ? "This document was deleted" : "This document was replaced"}</h2>
      <p>
        {isDeleted
          ? "Below is what this browser still has of it. You can copy from it, and nothing of it is sent any more."
          : "It was deleted, and someone has made a new one with the same name. Below is the old text, to copy from."}
      </p>
      <div className="form-actions">
        <Link to={{ view: "list" }} className="button">
          All documents
        </Link>
        <button type="button" className="button primary" onClick={onReopen}>
          {isDeleted ? "Start it anew" : "Open the new one"}
        </button>
      </div>
    </section>
  );
}
