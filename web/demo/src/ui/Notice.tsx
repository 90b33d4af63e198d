import type { ReactNode } from "react";
import { Icon, type IconName } from "./Icon";

interface NoticeProps {
  title: string;
  icon?: IconName;
  children: ReactNode;
}

/** Explains why there is no content, and what the user can do. */
export function Notice({ title, icon = "document", children }: NoticeProps) {
  return (
    <section className="notice">
      <Icon name={icon} />
      <h2>{title}</h2>
      {children}
    </section>
  );
}
