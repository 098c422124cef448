import { useState } from "preact/hooks";
import { Refused } from "../api";
import { type Entry, type Opened, address, open, remove, setStatus } from "../datasets";
import type { Context } from "./app";
import { Action, PageHeading, Problem, bytes, day, useLoaded } from "./parts";
import { Confirmation } from "./confirmation";
import { Ask, Sharing } from "./sharing";
import { Upload } from "./upload";

/** How many files are listed at once: a dataset may have tens of thousands. */
const LISTED = 200;

export function DatasetPage(props: Context & { id: string }) {
  const { api, id } = props;
  const { value: opened, error, reload } = useLoaded(() => open(api, id), [id]);
  if (!opened) {
    return error === undefined ? (
      <p role="status">Loading…</p>
    ) : (
      <>
        <PageHeading title="Not open to you" />
        <Problem error={error} />
        {error instanceof Refused && error.status === 403 && <Ask {...props} />}
      </>
    );
  }
  const { dataset, entries, isMine } = opened;
  return (
    <>
      <p>
        <a href="#/">← All datasets</a>
      </p>
      <PageHeading title={dataset.description || "Without a name"} />
      <p class="facts">
        <span class="chip">{isMine ? "yours" : "shared with you"}</span>
        {dataset.status !== "current" && (
          <span class="chip warning">withdrawn: nobody else reads it</span>
        )}
        <span class="hint">
          changed {day(dataset.meta.lastUpdated)} · id <code>{id}</code>
        </span>
      </p>
      {isMine && <Upload {...props} done={reload} />}
      <Files api={api} entries={[...entries.values()]} />
      {isMine && <Sharing {...props} isWithdrawn={dataset.status !== "current"} />}
      {isMine && <Ending api={api} opened={opened} changed={reload} />}
    </>
  );
}

function Files({ api, entries }: Pick<Context, "api"> & { entries: Entry[] }) {
  const [shown, setShown] = useState(LISTED);
  const total = bytes(entries.reduce((sum, entry) => sum + entry.size, 0));
  const count = `${entries.length} verified ${entries.length === 1 ? "file" : "files"}`;
  const fetchOne = async (entry: Entry): Promise<void> => {
    // It comes as an attachment, and in a window of its own asks nobody to leave an upload.
    window.open(await address(api, entry), "_blank", "noopener,noreferrer");
  };
  return (
    <section>
      <h2>Files</h2>
      <p class="hint">{entries.length === 0 ? "None yet." : `${count}, ${total}`}</p>
      {entries.length > 0 && (
        <table>
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col" class="number">
                Size
              </th>
              <th scope="col">
                <span class="visually-hidden">Download</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {entries.slice(0, shown).map((entry) => (
              <tr key={entry.path}>
                <td class="path" title={`SHA-256 ${entry.sha256}`}>
                  {entry.path}
                </td>
                <td class="number">{bytes(entry.size)}</td>
                <td class="number">
                  <Action label={`Download ${entry.path}`} run={() => fetchOne(entry)}>
                    Download
                  </Action>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {entries.length > shown && (
        <button type="button" onClick={() => setShown(shown + LISTED)}>
          Show more
        </button>
      )}
    </section>
  );
}

interface EndingProps extends Pick<Context, "api"> {
  opened: Opened;
  changed: () => void;
}

function Ending({ api, opened, changed }: EndingProps) {
  const { dataset } = opened;
  const isCurrent = dataset.status === "current";
  const turn = async (): Promise<void> => {
    await setStatus(api, dataset.id, isCurrent ? "superseded" : "current");
    changed();
  };
  const end = async (): Promise<void> => {
    await remove(api, await open(api, dataset.id));
    location.hash = "#/";
  };
  return (
    <section>
      <h2>Withdraw or delete</h2>
      <p class="hint">
        A withdrawn dataset is read by nobody else, whatever was shared, until you restore it.
        Deleting removes the bytes of all its files, for good.
      </p>
      <div class="actions">
        <Action run={turn}>{isCurrent ? "Withdraw" : "Restore"}</Action>
        <Confirmation
          button="Delete…"
          question={`Delete “${dataset.description ?? dataset.id}”?`}
          consequence={`${opened.entries.size} files and their bytes go, for good.`}
          confirm="Delete for good"
          run={end}
        />
      </div>
    </section>
  );
}
