"use client";
/**
 * Components for the people in a document, the connection and what is saved, the notifications of this user, the workflow of
 * documents and the activity of the team, with hooks that give the same in words.
 * Components for the people in a document, for comments on it, and for the connection and what is saved, with hooks that give the
 * same in words.
 *
 * ```tsx
 * import "@realtime-server/client/kit.css";
 *
 * const { provider, ...state } = useDocument("article-42");
 * const status = useDocumentStatus(state);
 * <AvatarStack provider={provider} /> <SaveStatus status={status} /> <ConnectionBanner status={status} />
 * ```
 *
 * @module
 */
export { ActivityFeed, type ActivityFeedProps } from "./ActivityFeed.js";
export { deedOf, type Deed } from "./activity-words.js";
export { Avatar } from "./Avatar.js";
export { AvatarStack, type AvatarStackProps } from "./AvatarStack.js";
export { Composer, type ComposerProps } from "./Composer.js";
export type { Mentionable } from "./ComposerMentions.js";
export { ConnectionBanner, type ConnectionBannerProps } from "./ConnectionBanner.js";
export { NEUTRAL_COLOR, readableOn, safeColor } from "./contrast.js";
export { FollowNotice, type FollowNoticeProps } from "./FollowNotice.js";
export {
  nameOf,
  useAvatarStack,
  useAway,
  useBanner,
  useConnectionStatus,
  useCountdown,
  useDocumentStatus,
  useSettled,
  type AvatarStackState,
  type BannerContent,
} from "./hooks.js";
export { Inbox, type InboxLinks, type InboxProps } from "./Inbox.js";
export { reasonOf } from "./reason.js";
export { SaveStatus, type SaveStatusProps } from "./SaveStatus.js";
export { connectionStatus, documentStatus, type Status, type Tone } from "./status.js";
export { StatusBadge, WorkflowBadge, type WorkflowBadgeProps } from "./WorkflowBadge.js";
export { statusLabel, statusTone, stepLabel, type WorkflowTone } from "./workflow-words.js";
export { exactTime, timeAgo, useNow } from "./time.js";
export { Threads, type ThreadsProps } from "./Threads.js";
