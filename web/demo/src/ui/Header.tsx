import type { ReactNode } from "react";
import { IdentityButton } from "../session/IdentityButton";
import { StatusLabel } from "../status/StatusLabel";
import type { Status } from "../status/status";
import { ThemeButton } from "../theme/ThemeButton";

interface HeaderProps {
  title: string;
  status: Status;
  /** What stands before the title. */
  before?: ReactNode;
  /** What stands behind it, before who one is. */
  children?: ReactNode;
}

/** The top of every view: where one is, how things are, who one is. */
export function Header({ title, status, before, children }: HeaderProps) {
  return (
    <div className="header">
      {before}
      <div className="header-title">
        <h1 title={title}>{title}</h1>
        <StatusLabel status={status} />
      </div>
      {children}
      <ThemeButton />
      <IdentityButton />
    </div>
  );
}
