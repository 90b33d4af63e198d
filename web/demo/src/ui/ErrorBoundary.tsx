import { Component, type ReactNode } from "react";
import { Notice } from "./Notice";

/** Shows a message instead of an empty page after an error. React supports this only in class components. */
export class ErrorBoundary extends Component<{ children: ReactNode }, { hasFailed: boolean }> {
  override state = { hasFailed: false };

  static getDerivedStateFromError() {
    return { hasFailed: true };
  }

  override render() {
    if (!this.state.hasFailed) return this.props.children;
    return (
      <main className="column" id="content">
        <Notice title="Something went wrong here">
          <p>What was saved is safe with the server, and what was not is kept in this browser.</p>
          <button type="button" className="button primary" onClick={() => location.reload()}>
            Load the page again
          </button>
        </Notice>
      </main>
    );
  }
}
