import { useEffect, useState } from "react";
import { addressOf } from "../navigation/route";
import { useSession } from "../session/session";
import { announce } from "../status/announcer";
import { Icon } from "../ui/Icon";
import { copyText } from "./copyText";

const SHOWN_MS = 2_500;

/** Copies the document's link, which names its team as well. */
export function ShareButton({ room }: { room: string }) {
  const { team } = useSession().identity;
  const [outcome, setOutcome] = useState<"copied" | "failed">();
  useEffect(() => {
    if (outcome === undefined) return;
    const timer = setTimeout(() => setOutcome(undefined), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [outcome]);
  const share = async () => {
    const isCopied = await copyText(new URL(addressOf({ view: "document", room, team }), location.href).href);
    setOutcome(isCopied ? "copied" : "failed");
    announce(isCopied ? "Link copied" : "The link could not be copied. It is the address of this page.");
  };
  const label = outcome === "copied" ? "Link copied" : outcome === "failed" ? "Copy the address instead" : "Share";
  return (
    <button
      type="button"
      className="button share"
      data-outcome={outcome}
      data-tooltip="Copy the link"
      onClick={() => void share()}
    >
      <Icon name={outcome === "copied" ? "check" : "share"} />
      <span>{label}</span>
    </button>
  );
}
