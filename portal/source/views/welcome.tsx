import type { Session } from "../session";
import type { Settings } from "../settings";
import { Action, PageHeading } from "./parts";

/** For whoever isn't signed in. */
export function Welcome({ settings, session }: { settings: Settings; session: Session }) {
  return (
    <main class="welcome">
      <p class="brand">AI4H</p>
      <PageHeading title="Private medical data, put to the test" />
      <p class="lead">
        AI for Health benchmarks medical AI models on private data. You store an undisclosed
        dataset here; models are evaluated next to it, and nobody sees it unless you say so.
      </p>
      <Action kind="primary" run={() => session.signIn()}>
        Sign in
      </Action>
      <p class="hint">Accounts are made by invitation.</p>
      <ul class="links">
        <li>
          <a href={`${settings.apiUrl}/metadata`}>What the FHIR R4 API can do</a>, its capability
          statement
        </li>
        <li>
          <a href="reference/index.html">How to call it</a>, every operation to read and try out
        </li>
      </ul>
    </main>
  );
}
