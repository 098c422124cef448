import { useState } from "preact/hooks";
import {
  type Grantee,
  GRANTEES,
  PURPOSES,
  type Terms,
  decide,
  grantees,
  ofDataset,
  reasonOf,
  write,
} from "../sharing";
import type { Context } from "./app";
import { Action, Form, Problem, day, useLoaded } from "./parts";

const MONTH_MS = 30 * 24 * 3600 * 1000;

interface SharingProps extends Context {
  id: string;
  isWithdrawn: boolean;
}

/** Whom a dataset is shared with, and a form to share it. */
export function Sharing({ api, id, isWithdrawn }: SharingProps) {
  const { value: shares, error, reload } = useLoaded(() => ofDataset(api, id), [id]);
  const revoke = async (consent: string): Promise<void> => {
    await decide(api, consent, "inactive");
    reload();
  };
  return (
    <section>
      <h2>Sharing</h2>
      {isWithdrawn && <p class="hint">While it is withdrawn, no share counts.</p>}
      <Problem error={error} />
      {shares?.length === 0 && <p class="hint">Nobody but you can read it.</p>}
      {shares && shares.length > 0 && (
        <ul class="cards">
          {shares.map((consent) => (
            <li key={consent.id} class="card">
              <strong>{grantees(consent)}</strong>
              <span class={`chip ${consent.status === "active" ? "good" : ""}`}>
                {SAID[consent.status]}
              </span>
              <span class="hint">
                until {day(consent.provision?.period?.end)}
                {reasonOf(consent) && `, “${reasonOf(consent)}”`}
              </span>
              {consent.status === "active" && (
                <Action
                  label={`Revoke for ${grantees(consent)}`}
                  run={() => revoke(consent.id)}
                >
                  Revoke
                </Action>
              )}
            </li>
          ))}
        </ul>
      )}
      <TermsForm
        label="Share this dataset"
        button="Share"
        submit={async (terms) => {
          await write(api, id, terms, "active");
          reload();
        }}
      />
    </section>
  );
}

const SAID = { active: "shared", proposed: "asked for", inactive: "ended", rejected: "declined" };

interface AskProps extends Pick<Context, "api" | "user"> {
  id: string;
}

/** For whoever may not read a dataset: its owner may be asked. */
export function Ask({ api, user, id }: AskProps) {
  const [isAsked, setAsked] = useState(false);
  if (isAsked) return <p role="status">Its owner sees your request.</p>;
  return (
    <section>
      <h2>Ask for this dataset</h2>
      <p class="hint">For yourself, a group you are in, or a challenge you act for.</p>
      <TermsForm
        label="Ask for this dataset"
        button="Ask"
        name={user}
        needsReason
        submit={async (terms) => {
          await write(api, id, terms, "proposed");
          setAsked(true);
        }}
      />
    </section>
  );
}

interface TermsFormProps {
  label: string;
  button: string;
  name?: string;
  needsReason?: boolean;
  submit: (terms: Terms) => Promise<void>;
}

function TermsForm({ label, button, name = "", needsReason = false, submit }: TermsFormProps) {
  const [terms, setTerms] = useState<Terms>({
    kind: "user",
    name,
    until: new Date(Date.now() + MONTH_MS).toISOString().slice(0, 10),
    purpose: "HRESCH",
    reason: "",
  });
  const change = (changed: Partial<Terms>): void => setTerms({ ...terms, ...changed });
  const send = async (): Promise<void> => {
    await submit({ ...terms, name: terms.name.trim() });
    change({ name, reason: "" });
  };
  return (
    <Form label={label} button={button} submit={send}>
      <label>
        With a
        <select
          value={terms.kind}
          onChange={(event) => change({ kind: event.currentTarget.value as Grantee })}
        >
          {Object.keys(GRANTEES).map((kind) => (
            <option key={kind}>{kind}</option>
          ))}
        </select>
      </label>
      <label>
        {terms.kind === "challenge" ? "Number of the challenge" : `Name of the ${terms.kind}`}
        <input
          required
          autocomplete="off"
          value={terms.name}
          onInput={(event) => change({ name: event.currentTarget.value })}
        />
      </label>
      <label>
        Until
        <input
          required
          type="date"
          value={terms.until}
          onInput={(event) => change({ until: event.currentTarget.value })}
        />
      </label>
      <label>
        For
        <select
          value={terms.purpose}
          onChange={(event) => change({ purpose: event.currentTarget.value })}
        >
          {Object.entries(PURPOSES).map(([code, text]) => (
            <option key={code} value={code}>
              {text}
            </option>
          ))}
        </select>
      </label>
      <label>
        {needsReason ? "Reason" : "Reason (optional)"}
        <input
          required={needsReason}
          value={terms.reason}
          onInput={(event) => change({ reason: event.currentTarget.value })}
        />
      </label>
    </Form>
  );
}
