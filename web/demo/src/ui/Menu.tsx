import { useEffect, useId, useRef, useState, type FocusEvent, type KeyboardEvent } from "react";
import { Icon } from "./Icon";

/** An action in a menu. */
export interface MenuItem {
  readonly label: string;
  readonly run: () => void;
}

interface MenuProps {
  /** What the actions are about, for screen readers. */
  label: string;
  items: readonly MenuItem[];
  /** Called when the menu opens and closes. */
  onToggle: (isOpen: boolean) => void;
}

/** A button that opens a menu of actions. Arrow keys move in it; Escape, Tab and a click elsewhere close it. */
export function Menu({ label, items, onToggle }: MenuProps) {
  const [isOpen, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const id = useId();
  useEffect(() => {
    if (isOpen) list.current?.querySelector("button")?.focus();
  }, [isOpen]);
  const toggle = (now: boolean) => {
    setOpen(now);
    onToggle(now);
  };
  const close = () => {
    toggle(false);
    button.current?.focus();
  };
  const press = (event: KeyboardEvent) => {
    if (event.key === "Escape") {
      close();
      return;
    }
    const buttons = [...(list.current?.querySelectorAll("button") ?? [])];
    const at = buttons.findIndex((item) => item === document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    buttons.at(to % buttons.length)?.focus();
  };
  const leave = ({ currentTarget, relatedTarget }: FocusEvent) => {
    if (isOpen && !currentTarget.contains(relatedTarget)) toggle(false);
  };
  return (
    <div className="actions" onBlur={leave}>
      <button
        ref={button}
        type="button"
        className="icon-button"
        aria-label={label}
        aria-haspopup="menu"
        aria-expanded={isOpen}
        aria-controls={isOpen ? id : undefined}
        onClick={() => toggle(!isOpen)}
      >
        <Icon name="actions" />
      </button>
      {isOpen && (
        <div ref={list} className="actions-menu" id={id} role="menu" aria-label={label} onKeyDown={press}>
          {items.map(({ label: text, run }) => (
            <button
              key={text}
              type="button"
              role="menuitem"
              tabIndex={-1}
              onClick={() => {
                close();
                run();
              }}
            >
              {text}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}
