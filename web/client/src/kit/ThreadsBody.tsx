import type { ReactNode } from "react";
import { namesIn, type Mentionable } from "./ComposerMentions.js";

/** An address in a text, without the punctuation that may follow it. */
const ADDRESS = /https?:\/\/[^\s<>"']*[^\s<>"'.,;:!?)\]}]/gu;

/** The text of a comment: plain text, in which addresses are links and mentions stand out. */
export function CommentBody({ body, people }: { body: string; people: readonly Mentionable[] }) {
  const parts: ReactNode[] = [];
  let end = 0;
  for (const { index, 0: address } of body.matchAll(ADDRESS)) {
    parts.push(...mentionsIn(body.slice(end, index), people, end));
    parts.push(
      <a key={index} href={address} target="_blank" rel="noopener noreferrer nofollow">
        {address}
      </a>,
    );
    end = index + address.length;
  }
  parts.push(...mentionsIn(body.slice(end), people, end));
  return <p className="realtime-comment-body">{parts}</p>;
}

function mentionsIn(text: string, people: readonly Mentionable[], offset: number): ReactNode[] {
  const parts: ReactNode[] = [];
  let end = 0;
  for (const mention of namesIn(text, people)) {
    parts.push(text.slice(end, mention.start));
    parts.push(
      <span key={offset + mention.start} className="realtime-mention">
        {text.slice(mention.start, mention.end)}
      </span>,
    );
    end = mention.end;
  }
  parts.push(text.slice(end));
  return parts;
}

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });
const day = new Intl.DateTimeFormat("en", { dateStyle: "medium" });
const exact = new Intl.DateTimeFormat("en", { dateStyle: "full", timeStyle: "short" });

const [MINUTE, HOUR, DAY] = [60_000, 3_600_000, 86_400_000];

/** How long ago something was, and the exact time on hover. */
export function Moment({ at, now }: { at: string; now: number }) {
  const moment = Date.parse(at);
  return (
    <time dateTime={at} title={exact.format(moment)}>
      {ago(moment, now)}
    </time>
  );
}

function ago(moment: number, now: number): string {
  const age = now - moment;
  if (age < MINUTE) return "just now";
  if (age < HOUR) return relative.format(-Math.floor(age / MINUTE), "minute");
  if (age < DAY) return relative.format(-Math.floor(age / HOUR), "hour");
  if (age < 7 * DAY) return relative.format(-Math.floor(age / DAY), "day");
  return day.format(moment);
}
