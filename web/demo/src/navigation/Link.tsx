import type { MouseEvent, ReactNode } from "react";
import { addressOf, navigate, type Route } from "./route";

interface LinkProps {
  to: Route;
  className?: string;
  label?: string;
  tooltip?: string;
  children: ReactNode;
}

/** A link within the page. It does not load the page again, unless the user opens it in another tab or window. */
export function Link({ to, className, label, tooltip, children }: LinkProps) {
  const follow = (event: MouseEvent) => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    navigate(to);
  };
  return (
    <a href={addressOf(to)} className={className} aria-label={label} data-tooltip={tooltip} onClick={follow}>
      {children}
    </a>
  );
}
