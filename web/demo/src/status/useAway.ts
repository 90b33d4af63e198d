import { useConnection } from "@realtime-server/client/react";
import { useState } from "react";

/** Whether the connection was lost, or was never made, and is not back yet. */
export function useAway(): boolean {
  const { status, error } = useConnection();
  const [isAway, setAway] = useState(false);
  const now = status !== "connected" && (isAway || error !== undefined);
  if (now !== isAway) setAway(now);
  return now;
}
