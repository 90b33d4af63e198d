import { useConnection } from "@realtime-server/client/react";
import { useState } from "react";
import { NEUTRAL_COLOR } from "../ui/contrast";

/** One's colour. The server chooses it, so it is known with the first connection; it stays while that is lost. */
export function useOwnColor(): string {
  const { connection } = useConnection();
  const [known, setKnown] = useState(NEUTRAL_COLOR);
  const color = connection?.user.color ?? known;
  if (color !== known) setKnown(color);
  return color;
}
