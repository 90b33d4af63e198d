import type { SubmitEvent } from "react";
import { Dialog } from "../ui/Dialog";
import { AnotherPerson } from "./AnotherPerson";
import { isRole, ROLES, type Identity } from "./identity";
import { changeIdentity } from "./session";

interface IdentityDialogProps {
  identity: Identity;
  onClose: () => void;
}

/** Changes the identity of this window. In development users choose it freely; in an application it comes from the login. */
export function IdentityDialog({ identity, onClose }: IdentityDialogProps) {
  const save = ({ currentTarget }: SubmitEvent<HTMLFormElement>) => {
    const fields = new FormData(currentTarget);
    const text = (name: string, otherwise: string) => {
      const value = fields.get(name);
      return typeof value === "string" && value.trim() !== "" ? value.trim() : otherwise;
    };
    const role = fields.get("role");
    const changed: Identity = {
      ...identity,
      name: text("name", identity.name),
      role: isRole(role) ? role : identity.role,
      team: text("team", identity.team),
    };
    // This waits until the dialog is closed, because a change of the team removes the view that contains it.
    setTimeout(() => changeIdentity(changed));
  };
  return (
    <Dialog title="Who you are" onClose={onClose}>
      <form method="dialog" className="form" onSubmit={save}>
        <p className="hint">
          You are the same person in every window of this browser. To see two people write,{" "}
          <AnotherPerson>open a window as another person</AnotherPerson>.
        </p>
        <label>
          Name
          <input name="name" defaultValue={identity.name} maxLength={60} autoComplete="off" required />
        </label>
        <label>
          Role
          <select name="role" defaultValue={identity.role}>
            {Object.entries(ROLES).map(([role, meaning]) => (
              <option key={role} value={role}>
                {meaning}
              </option>
            ))}
          </select>
        </label>
        <details>
          <summary>More</summary>
          <label>
            Team
            <input name="team" defaultValue={identity.team} maxLength={60} autoComplete="off" required />
          </label>
          <p className="hint">A team has documents of its own.</p>
        </details>
        <div className="form-actions">
          <button type="submit" className="button primary">
            Go on as this person
          </button>
        </div>
      </form>
    </Dialog>
  );
}
