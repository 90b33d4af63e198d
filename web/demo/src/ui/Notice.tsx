import type { ReactNode } from "react";
import { Icon, type IconName } from "./Icon";

interface NoticeProps {
  title: string;
  icon?: IconName;
  children: ReactNode;
}

/** Says why there is nothing to see, and what one can do. */
export function Notice({ title, icon = "document", children }: NoticeProps) {
  return (
    <section className="notice">
      <Icon name={icon} />
      <h2>{title}</h2>
      {children}
    </section>
  );
}
