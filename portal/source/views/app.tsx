import { useEffect, useState } from "preact/hooks";
import type { Api } from "../api";
import type { Session } from "../session";
import type { Uploads } from "../uploads";
import { DatasetPage } from "./dataset";
import { DatasetsPage } from "./datasets";
import { Action } from "./parts";

export interface Context {
  api: Api;
  uploads: Uploads;
  user: string;
}

/** The pages behind the sign-in, by the address's fragment: `#/datasets/{id}`. */
export function App({ session, ...context }: Context & { session: Session }) {
  const route = useFragment();
  const dataset = /^#\/datasets\/([A-Za-z0-9\-.]{1,64})$/.exec(route)?.[1];
  return (
    <>
      <header class="bar">
        <a class="brand" href="#/">
          AI4H<span class="visually-hidden">: your datasets</span>
        </a>
        <Running uploads={context.uploads} shown={dataset} />
        <span class="who">{context.user}</span>
        <Action run={() => session.signOut()}>Sign out</Action>
      </header>
      <main>
        {dataset ? (
          <DatasetPage key={dataset} {...context} id={dataset} />
        ) : (
          <DatasetsPage {...context} />
        )}
      </main>
    </>
  );
}

/** Where uploads go on while the user looks at something else. */
function Running({ uploads, shown }: Pick<Context, "uploads"> & { shown?: string }) {
  const [running, setRunning] = useState<string[]>([]);
  useEffect(() => uploads.watch(() => setRunning(uploads.running)), [uploads]);
  const elsewhere = running.find((dataset) => dataset !== shown);
  return elsewhere ? <a href={`#/datasets/${elsewhere}`}>Upload under way</a> : null;
}

function useFragment(): string {
  const [fragment, setFragment] = useState(location.hash);
  useEffect(() => {
    const changed = (): void => setFragment(location.hash);
    window.addEventListener("hashchange", changed);
    return () => window.removeEventListener("hashchange", changed);
  }, []);
  return fragment;
}
