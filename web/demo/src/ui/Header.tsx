import { SaveStatus, type Status } from "@realtime-server/client/kit";
import type { ReactNode } from "react";
import { Bell } from "../inbox/Bell";
import { AnotherPerson } from "../session/AnotherPerson";
import { IdentityButton } from "../session/IdentityButton";
import { ThemeButton } from "../theme/ThemeButton";
import { Icon } from "./Icon";

interface HeaderProps {
  title: string;
  /** A field in place of the title, where it can be changed. */
  titleField?: ReactNode;
  status: Status;
  /** The content before the title. */
  before?: ReactNode;
  /** The content after the title, before the bell, the second window, the theme and the identity. */
  children?: ReactNode;
}

/** The top of every view: its title, the status, the notifications and the identity of the user. */
export function Header({ title, titleField, status, before, children }: HeaderProps) {
  return (
    <div className="header">
      {before}
      <div className="header-title">
        {titleField ? (
          <>
            <h1 className="visually-hidden">{title}</h1>
            {titleField}
          </>
        ) : (
          <h1 title={title}>{title}</h1>
        )}
        <SaveStatus status={status} data-testid="status" />
      </div>
      {children}
      <Bell />
      <AnotherPerson
        className="icon-button another-person"
        label="Open as another person, in a new window"
        tooltip="Open as another person"
      >
        <Icon name="addPerson" />
      </AnotherPerson>
      <ThemeButton />
      <IdentityButton />
    </div>
  );
}
