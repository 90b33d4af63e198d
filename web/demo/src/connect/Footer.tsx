import { useState } from "react";
import { useSession } from "../session/session";
import { Icon } from "../ui/Icon";
import { ConnectDialog } from "./ConnectDialog";

/** The end of the list, for engineers: how to connect an app, and what else the server shows. */
export function Footer() {
  const { identity } = useSession();
  const [isOpen, setOpen] = useState(false);
  return (
    <footer className="footer">
      <button type="button" className="button" aria-haspopup="dialog" onClick={() => setOpen(true)}>
        <Icon name="code" />
        Connect your app
      </button>
      <nav aria-label="The server">
        <a href="./docs">Documentation</a>
        <a href="./health">Health</a>
        <a href="./metrics">Metrics</a>
      </nav>
      {isOpen && <ConnectDialog identity={identity} onClose={() => setOpen(false)} />}
    </footer>
  );
}
