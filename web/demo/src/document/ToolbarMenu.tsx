import { useId, useRef, useState, type KeyboardEvent, type ToggleEvent } from "react";
import type { Format, FormatState } from "./formats";
import { shownShortcut } from "./shortcut";
import { Face } from "./ToolbarButton";

/** The items of a menu between two lines. */
export type MenuSection = readonly Format[];

interface ToolbarMenuProps {
  label: string;
  face: Format["face"];
  sections: readonly MenuSection[];
  state: FormatState;
  onChoose: (format: Format) => void;
}

/** A button of the toolbar that opens a menu of formats. Arrows go from item to item, Escape closes it. */
export function ToolbarMenu({ label, face, sections, state, onChoose }: ToolbarMenuProps) {
  const menuId = useId();
  const button = useRef<HTMLButtonElement>(null);
  const menu = useRef<HTMLDivElement>(null);
  const [isOpen, setOpen] = useState(false);
  // The menu is in the browser's top layer, so its position has to be computed from that of the button.
  const place = ({ newState, currentTarget }: ToggleEvent<HTMLElement>) => {
    setOpen(newState === "open");
    const under = button.current?.getBoundingClientRect();
    if (newState !== "open" || !under) return;
    const left = Math.min(under.left, document.documentElement.clientWidth - currentTarget.offsetWidth - 8);
    currentTarget.style.top = `${under.bottom + 6}px`;
    currentTarget.style.left = `${Math.max(8, left)}px`;
    currentTarget.style.maxHeight = `${window.innerHeight - under.bottom - 16}px`;
    itemsOf(currentTarget)[0]?.focus();
  };
  const choose = (format: Format) => {
    menu.current?.hidePopover();
    if (state.possible[format.label]) onChoose(format);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const items = itemsOf(menu.current);
    const at = items.findIndex((item) => item === document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
    if (event.key === "Tab") menu.current?.hidePopover();
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    items.at(to % items.length)?.focus();
  };
  return (
    <>
      <button
        ref={button}
        type="button"
        className="tool tool-menu"
        tabIndex={-1}
        popoverTarget={menuId}
        aria-label={label}
        aria-haspopup="menu"
        aria-expanded={isOpen}
        data-tooltip={isOpen ? undefined : label}
        onMouseDown={(event) => event.preventDefault()}
      >
        <Face face={face} />
      </button>
      <div
        ref={menu}
        id={menuId}
        popover="auto"
        role="menu"
        aria-label={label}
        className="menu"
        onToggle={place}
        onKeyDown={onKeyDown}
      >
        {sections.map((section) => (
          <div key={section[0]?.label} role="group" className="menu-section">
            {section.map((format) => (
              <MenuItem key={format.label} format={format} state={state} onChoose={() => choose(format)} />
            ))}
          </div>
        ))}
      </div>
    </>
  );
}

function MenuItem({ format, state, onChoose }: { format: Format; state: FormatState; onChoose: () => void }) {
  const isActive = state.active[format.label] ?? false;
  return (
    <button
      type="button"
      className="menu-item"
      role={format.isActive ? "menuitemcheckbox" : "menuitem"}
      aria-checked={format.isActive ? isActive : undefined}
      aria-disabled={!(state.possible[format.label] ?? false)}
      tabIndex={-1}
      // So the text keeps its selection, and on phones the keyboard stays open.
      onMouseDown={(event) => event.preventDefault()}
      onClick={onChoose}
    >
      <Face face={format.face} />
      <span className="menu-label">{format.label}</span>
      {format.shortcut && <kbd>{shownShortcut(format.shortcut)}</kbd>}
    </button>
  );
}

function itemsOf(menu: HTMLElement | null): HTMLElement[] {
  return [...(menu?.querySelectorAll<HTMLElement>(".menu-item") ?? [])];
}
