import { statusLabel } from "@realtime-server/client/kit";
import { useDocuments } from "@realtime-server/client/react";
import { useState } from "react";

interface StatusFilterProps {
  status: string | undefined;
  onChange: (status: string | undefined) => void;
}

/** The choice of a status of the workflow. It offers those that documents of the team have had since the list was opened. */
export function StatusFilter({ status, onChange }: StatusFilterProps) {
  const { documents } = useDocuments();
  const [known, setKnown] = useState<readonly string[]>([]);
  const found = new Set([...known, ...(documents ?? []).map((document) => document.status)]);
  if (found.size > known.length) setKnown([...found]);
  return (
    <select
      aria-label="Status"
      value={status ?? ""}
      onChange={({ target }) => onChange(target.value === "" ? undefined : target.value)}
    >
      <option value="">Any status</option>
      {known.map((name) => (
        <option key={name} value={name}>
          {statusLabel(name)}
        </option>
      ))}
    </select>
  );
}
