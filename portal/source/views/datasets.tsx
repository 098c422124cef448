import { useState } from "preact/hooks";
import { search } from "../fhir";
import { type Dataset, create, every, isMine } from "../datasets";
import { type Consent, decide, grantees, reasonOf } from "../sharing";
import type { Context } from "./app";
import { Action, Form, PageHeading, Problem, day, useLoaded } from "./parts";

/** How many datasets are listed at once: each is asked whose it is. */
const LISTED = 50;

/** All datasets that the user may see, and who asks for them. */
export function DatasetsPage({ api }: Context) {
  const [shown, setShown] = useState(LISTED);
  const { value: datasets, error } = useLoaded(() => every(api), []);
  return (
    <>
      <PageHeading title="Datasets" />
      <Problem error={error} />
      <Requests api={api} />
      {datasets === undefined && error === undefined && <p role="status">Loading…</p>}
      {datasets?.length === 0 && <p>There are none yet. Make your first one below.</p>}
      {datasets && (
        <ul class="cards">
          {datasets.slice(0, shown).map((dataset) => (
            <Card key={dataset.id} api={api} dataset={dataset} />
          ))}
        </ul>
      )}
      {datasets && datasets.length > shown && (
        <button type="button" onClick={() => setShown(shown + LISTED)}>
          Show more
        </button>
      )}
      <NewDataset api={api} />
    </>
  );
}

function Card({ api, dataset }: Pick<Context, "api"> & { dataset: Dataset }) {
  const { value: mine } = useLoaded(() => isMine(api, dataset.id), [dataset.id]);
  return (
    <li class="card">
      <a href={`#/datasets/${dataset.id}`}>{dataset.description || "Without a name"}</a>
      <span class="hint">changed {day(dataset.meta.lastUpdated)}</span>
      {dataset.status !== "current" && <span class="chip warning">withdrawn</span>}
      {mine !== undefined && <span class="chip">{mine ? "yours" : "shared with you"}</span>}
    </li>
  );
}

function NewDataset({ api }: Pick<Context, "api">) {
  const [name, setName] = useState("");
  const submit = async (): Promise<void> => {
    const made = await create(api, name.trim());
    location.hash = `#/datasets/${made.id}`;
  };
  return (
    <section>
      <h2>New dataset</h2>
      <Form label="New dataset" button="Create" submit={submit}>
        <label>
          Name
          <input
            required
            maxLength={200}
            value={name}
            placeholder="CT study, 40 patients"
            onInput={(event) => setName(event.currentTarget.value)}
          />
        </label>
      </Form>
    </section>
  );
}

/** Who asks for a dataset and has no answer yet; nothing when nobody does. */
function Requests({ api }: Pick<Context, "api">) {
  const { value, error, reload } = useLoaded(
    () =>
      Array.fromAsync(
        search<Consent>(api, "Consent", { status: "proposed", _sort: "-_lastUpdated" }),
      ),
    [],
  );
  const requests = value?.filter((consent) => consent.provision?.data) ?? [];
  if (!requests.length) return <Problem error={error} />;
  return (
    <section>
      <h2>Requests</h2>
      <ul class="cards">
        {requests.map((consent) => (
          <Request key={consent.id} api={api} consent={consent} answered={reload} />
        ))}
      </ul>
    </section>
  );
}

interface RequestProps extends Pick<Context, "api"> {
  consent: Consent;
  answered: () => void;
}

function Request({ api, consent, answered }: RequestProps) {
  const [reason, setReason] = useState("");
  const asked = consent.provision?.data?.[0]?.reference.reference.split("/")[1] ?? "";
  const { value: mine } = useLoaded(() => isMine(api, asked), [asked]);
  const answer = async (status: Consent["status"]): Promise<void> => {
    await decide(api, consent.id, status, reason);
    answered();
  };
  return (
    <li class="card request">
      <span>
        <strong>{grantees(consent)}</strong> asks for{" "}
        <a href={`#/datasets/${asked}`}>dataset {asked.slice(0, 8)}</a> until{" "}
        {day(consent.provision?.period?.end)}: “{reasonOf(consent)}”
      </span>
      {mine ? (
        <>
          <label>
            Your reason
            <input
              value={reason}
              placeholder="Say why, if you decline"
              onInput={(event) => setReason(event.currentTarget.value)}
            />
          </label>
          <Action kind="primary" run={() => answer("active")}>
            Approve
          </Action>
          <Action run={() => answer("rejected")}>Decline</Action>
        </>
      ) : (
        <span class="chip">waits for its owner</span>
      )}
    </li>
  );
}
