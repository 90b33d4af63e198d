import type { DocumentProvider } from "@realtime-server/client";
import { usePeople } from "@realtime-server/client/react";
import { AvatarStack, FollowNotice } from "@realtime-server/client/kit";
import { followed } from "@realtime-server/client/tiptap";
import { useEditorState, type Editor } from "@tiptap/react";
import { useNarrow } from "../ui/useNarrow";

/** How many people are shown beside the title; the number of the others is shown after them. */
const SHOWN_MAX = { wide: 6, narrow: 2 };

interface PeopleProps {
  provider: DocumentProvider | undefined;
  editor: Editor | undefined;
}

/** The people in the document. The editor follows the person whose avatar is pressed, until it is pressed again. */
export function People({ provider, editor }: PeopleProps) {
  const max = useNarrow() ? SHOWN_MAX.narrow : SHOWN_MAX.wide;
  const people = usePeople(provider);
  const id = useEditorState({ editor: editor ?? null, selector: ({ editor }) => editor && followed(editor.state) });
  const stop = () => editor?.commands.unfollow();
  return (
    <>
      <AvatarStack
        provider={provider}
        max={max}
        followed={id ?? undefined}
        onFollow={(person) => (person.id === id ? stop() : editor?.commands.follow(person.id))}
        data-testid="people"
      />
      <FollowNotice person={people.find((person) => person.id === id)} onStop={stop} />
    </>
  );
}
