import { useEffect, useState } from "react";
import { copyText } from "../document/copyText";
import { announce } from "../status/announcer";
import { Icon } from "../ui/Icon";

const SHOWN_MS = 2_500;

/** Copies a piece of code. */
export function CopyButton({ code }: { code: string }) {
  const [outcome, setOutcome] = useState<"copied" | "failed">();
  useEffect(() => {
    if (outcome === undefined) return;
    const timer = setTimeout(() => setOutcome(undefined), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [outcome]);
  const copy = async () => {
    const isCopied = await copyText(code);
    setOutcome(isCopied ? "copied" : "failed");
    announce(isCopied ? "Copied" : "The code could not be copied. Select it instead.");
  };
  return (
    <button type="button" className="button copy" onClick={() => void copy()}>
      <Icon name={outcome === "copied" ? "check" : "copy"} />
      {outcome === "copied" ? "Copied" : outcome === "failed" ? "Select it instead" : "Copy"}
    </button>
  );
}
