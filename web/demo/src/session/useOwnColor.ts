import { NEUTRAL_COLOR } from "@realtime-server/client/kit";
import { useConnection } from "@realtime-server/client/react";
import { useState } from "react";

/** The colour of this user. The server chooses it, so it is known from the first connection on, also while that is lost. */
export function useOwnColor(): string {
  const { connection } = useConnection();
  const [known, setKnown] = useState(NEUTRAL_COLOR);
  const color = connection?.user.color ?? known;
  if (color !== known) setKnown(color);
  return color;
}
