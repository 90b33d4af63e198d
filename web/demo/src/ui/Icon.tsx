import type { ReactNode } from "react";

/** Strokes on a grid of 20 by 20. */
const STROKES = {
  addPerson: (
    <path d="M8 3.5a3 3 0 1 1 0 6 3 3 0 0 1 0-6zM2.5 16.5c0-2.8 2.4-4.5 5.5-4.5s5.5 1.7 5.5 4.5M15.5 6.5v5M13 9h5" />
  ),
  alignCenter: <path d="M4 5h12M6.5 10h7M5 15h10" />,
  alignJustify: <path d="M4 5h12M4 10h12M4 15h12" />,
  alignLeft: <path d="M4 5h12M4 10h7M4 15h10" />,
  alignRight: <path d="M4 5h12M9 10h7M6 15h10" />,
  back: <path d="M12 4.5 6.5 10l5.5 5.5" />,
  activity: <path d="M10 4.5v5.7l3.6 2.1M10 2.8a7.2 7.2 0 1 1-6.6 4.4M3 3.5v3.9h3.9" />,
  bin: <path d="M4 5.5h12M8 5.5v-2h4v2M5.5 5.5l.7 10.5a1 1 0 0 0 1 1h5.6a1 1 0 0 0 1-1l.7-10.5" />,
  bold: <path d="M6 4h4.8a2.9 2.9 0 0 1 0 6H6zM6 10h5.6a3 3 0 0 1 0 6H6z" />,
  bulletList: <path d="M8 5h8M8 10h8M8 15h8M4 5h.01M4 10h.01M4 15h.01" />,
  check: <path d="m4.5 10.5 3.7 3.7 7.3-8" />,
  close: <path d="m5.5 5.5 9 9m0-9-9 9" />,
  code: <path d="M7 6 3 10l4 4m6-8 4 4-4 4" />,
  codeBlock: (
    <path d="M4.5 3.5h11a1 1 0 0 1 1 1v11a1 1 0 0 1-1 1h-11a1 1 0 0 1-1-1v-11a1 1 0 0 1 1-1zM8.2 7.8 6 10l2.2 2.2m3.6-4.4L14 10l-2.2 2.2" />
  ),
  comment: <path d="M4.5 4h11a1 1 0 0 1 1 1v7.5a1 1 0 0 1-1 1H10l-3.5 3v-3h-2a1 1 0 0 1-1-1V5a1 1 0 0 1 1-1z" />,
  copy: (
    <path d="M8 7h7.5a1 1 0 0 1 1 1v7.5a1 1 0 0 1-1 1H8a1 1 0 0 1-1-1V8a1 1 0 0 1 1-1zM4.5 13a1 1 0 0 1-1-1V4.5a1 1 0 0 1 1-1H12a1 1 0 0 1 1 1" />
  ),
  columnLeft: <path d="M9.5 3.5H16a.5.5 0 0 1 .5.5v12a.5.5 0 0 1-.5.5H9.5zM13 3.5v13M3 10h4M5 8v4" />,
  columnRight: <path d="M10.5 3.5H4a.5.5 0 0 0-.5.5v12a.5.5 0 0 0 .5.5h6.5zM7 3.5v13M13 10h4M15 8v4" />,
  divider: <path d="M3 10h14M10 3.5v3M10 13.5v3" />,
  document: <path d="M11.5 3H6a1 1 0 0 0-1 1v12a1 1 0 0 0 1 1h8a1 1 0 0 0 1-1V6.5zm0 0v3.5H15M8 10.5h4M8 13.5h4" />,
  eye: (
    <path d="M2.5 10s2.7-5 7.5-5 7.5 5 7.5 5-2.7 5-7.5 5-7.5-5-7.5-5zM10 7.8a2.2 2.2 0 1 1 0 4.4 2.2 2.2 0 0 1 0-4.4z" />
  ),
  headerRow: (
    <path d="M4 3.5h12a.5.5 0 0 1 .5.5v12a.5.5 0 0 1-.5.5H4a.5.5 0 0 1-.5-.5V4a.5.5 0 0 1 .5-.5zM3.5 8h13M6 5.8h8M10 8v8.5" />
  ),
  highlight: <path d="m7 11.5 6.5-7.5 3 2.6-6.5 7.4-3.6.6zM6.4 14.6 4 16.5M3.5 17.5H12" />,
  italic: <path d="M8.5 4h6M5.5 16h6M11.5 4l-3 12" />,
  link: (
    <path d="m8.2 11.8 3.6-3.6M9.5 6.2l1.6-1.6a3.05 3.05 0 0 1 4.3 4.3l-1.6 1.6m-3.3 3.3-1.6 1.6a3.05 3.05 0 0 1-4.3-4.3l1.6-1.6" />
  ),
  mergeCells: (
    <path d="M4 3.5h12a.5.5 0 0 1 .5.5v12a.5.5 0 0 1-.5.5H4a.5.5 0 0 1-.5-.5V4a.5.5 0 0 1 .5-.5zM10 3.5V7M10 13v3.5M6 10h2.5m3 0H14M7.2 8.7 8.5 10l-1.3 1.3M12.8 8.7 11.5 10l1.3 1.3" />
  ),
  moon: <path d="M16.3 12A6.8 6.8 0 0 1 8 3.7a6.8 6.8 0 1 0 8.3 8.3z" />,
  more: <path d="M4.5 10h.01M10 10h.01M15.5 10h.01" strokeWidth={2.6} />,
  orderedList: <path d="M9 5h7M9 10h7M9 15h7M3.5 4 5 3.3V7M3.5 12.6c.3-1.3 2.6-1.1 2.6.2 0 1.2-2.5 1.6-2.6 3.4h2.7" />,
  paragraph: <path d="M12.5 16V4m-3 12V4M15 4H8.2a3.1 3.1 0 0 0 0 6.2h1.3" />,
  picture: (
    <path d="M4 4h12a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V5a1 1 0 0 1 1-1zM3 13.5l3.8-3.8 3.4 3.4 2.3-2.3 4.5 4.4M12.8 7.6h.01" />
  ),
  plus: <path d="M10 4.5v11M4.5 10h11" />,
  quote: <path d="M4 4.5v11M8 6h8M8 10h8M8 14h5" />,
  redo: <path d="m12.5 4 3.5 3.5-3.5 3.5M16 7.5H8a4 4 0 0 0 0 8h3.5" />,
  rowAbove: <path d="M3.5 9.5V16a.5.5 0 0 0 .5.5h12a.5.5 0 0 0 .5-.5V9.5zM3.5 13h13M10 3v4M8 5h4" />,
  rowBelow: <path d="M3.5 10.5V4a.5.5 0 0 1 .5-.5h12a.5.5 0 0 1 .5.5v6.5zM3.5 7h13M10 13v4M8 15h4" />,
  share: (
    <path d="M10 12.5v-9m0 0L6.8 6.7M10 3.5l3.2 3.2M5.5 9.5H5a1 1 0 0 0-1 1V16a1 1 0 0 0 1 1h10a1 1 0 0 0 1-1v-5.5a1 1 0 0 0-1-1h-.5" />
  ),
  strike: (
    <path d="M3.5 10h13M13.8 6.3C13.4 4.8 12 4 10.1 4 7.9 4 6.3 5 6.3 6.8c0 .8.4 1.5 1.1 2M6 13.5c.4 1.6 1.9 2.5 4.1 2.5 2.3 0 4-1 4-2.9 0-.4-.1-.8-.2-1.1" />
  ),
  sun: (
    <path d="M10 6.5a3.5 3.5 0 1 1 0 7 3.5 3.5 0 0 1 0-7zM10 2.5v1M10 16.5v1M2.5 10h1M16.5 10h1M4.7 4.7l.7.7M14.6 14.6l.7.7M15.3 4.7l-.7.7M5.4 14.6l-.7.7" />
  ),
  system: <path d="M4 4h12a1 1 0 0 1 1 1v7.5a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V5a1 1 0 0 1 1-1zM7.5 16.5h5M10 13.5v3" />,
  table: (
    <path d="M4 3.5h12a.5.5 0 0 1 .5.5v12a.5.5 0 0 1-.5.5H4a.5.5 0 0 1-.5-.5V4a.5.5 0 0 1 .5-.5zM3.5 7.8h13M3.5 12.2h13M10 7.8v8.7" />
  ),
  taskList: <path d="M10 5.5h7M10 14.5h7M3 5.3l1.6 1.7L7.4 4M3.2 12.5h4v4h-4z" />,
  underline: <path d="M6 3.5v5.8a4 4 0 0 0 8 0V3.5M5 16.8h10" />,
  undo: <path d="M7.5 4 4 7.5 7.5 11M4 7.5h8a4 4 0 0 1 0 8H8.5" />,
  warning: <path d="M10 3.5 17.2 16H2.8zM10 8.3v3.4M10 13.8h.01" />,
} satisfies Record<string, ReactNode>;

/** The name of an icon. */
export type IconName = keyof typeof STROKES;

/** An icon beside a text, or inside an element with a label. Screen readers ignore it. */
export function Icon({ name }: { name: IconName }) {
  return (
    <svg className="icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false">
      {STROKES[name]}
    </svg>
  );
}
