import { Link } from "../navigation/Link";
import type { Role } from "../session/identity";
import { Notice } from "../ui/Notice";
import type { Obstacle } from "./access";

/** Explains why a document is not shown, and what the user can do. */
export function ObstacleNotice({ obstacle, role }: { obstacle: Obstacle; role: Role }) {
  switch (obstacle.kind) {
    case "not started":
      return (
        <Notice title="Nobody has begun this document yet" icon="eye">
          <p>
            You are here as a {role}, and only people who may write can begin a document. As soon as one of them does,
            it shows up here by itself.
          </p>
          <AllDocuments />
        </Notice>
      );
    case "forbidden":
      return (
        <Notice title="You have no access to this document" icon="eye">
          <p>
            Ask the person who sent you the link. If you have another identity that may see it, change who you are
            above.
          </p>
          <AllDocuments />
        </Notice>
      );
    case "offline":
      return (
        <Notice title="This document is not in this browser yet">
          <p>
            You see it as soon as the connection is back. Documents that were open here before can be read and changed
            offline.
          </p>
          <AllDocuments />
        </Notice>
      );
    case "failed":
      return (
        <Notice title="This document cannot be opened" icon="warning">
          <p>The reason: {obstacle.reason}</p>
          <AllDocuments />
        </Notice>
      );
  }
}

/** The view for an address whose name no document can have. */
export function UnusableName({ room, problem }: { room: string; problem: string }) {
  return (
    <main className="column" id="content" tabIndex={-1}>
      <h1 className="visually-hidden">No document</h1>
      <Notice title="There can be no such document" icon="warning">
        <p className="unusable-name">{room}</p>
        <p>{problem}</p>
        <AllDocuments />
      </Notice>
    </main>
  );
}

function AllDocuments() {
  return (
    <Link to={{ view: "list" }} className="button">
      All documents
    </Link>
  );
}
