/** Small parts of pages, and hooks that load what they show. */
import type { ComponentChildren } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { NotSignedIn } from "../session";

export interface Loaded<T> {
  value?: T;
  error?: unknown;
  reload: () => void;
}

/** What `load` gives, anew when one of `inputs` changes or `reload` is called. */
export function useLoaded<T>(load: () => Promise<T>, inputs: unknown[]): Loaded<T> {
  const [state, setState] = useState<{ value?: T; error?: unknown }>({});
  const [round, setRound] = useState(0);
  useEffect(() => {
    let isCurrent = true;
    load().then(
      (value) => isCurrent && setState({ value }),
      (error) => isCurrent && setState({ error }),
    );
    return () => {
      isCurrent = false;
    };
  }, [...inputs, round]);
  return { ...state, reload: useCallback(() => setRound((round) => round + 1), []) };
}

/** A heading that has the focus when its page comes up, as a new document's beginning would. */
export function PageHeading({ children }: { children: ComponentChildren }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  return (
    <h1 tabIndex={-1} ref={heading}>
      {children}
    </h1>
  );
}

export function Problem({ error }: { error: unknown }) {
  if (error === undefined) return null;
  return (
    <div class="problem" role="alert">
      <p>{error instanceof Error ? error.message : String(error)}</p>
      {error instanceof NotSignedIn && <a href="/">Sign in again</a>}
    </div>
  );
}

interface ActionProps {
  /** What happens; the button waits for it and shows why it failed. */
  run: () => Promise<unknown>;
  kind?: "primary" | "danger" | "plain";
  label?: string;
  children: ComponentChildren;
}

export function Action({ run, kind = "plain", label, children }: ActionProps) {
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const act = async (): Promise<void> => {
    setBusy(true);
    setError(undefined);
    await run().catch(setError);
    setBusy(false);
  };
  return (
    <>
      <button type="button" class={kind} aria-label={label} disabled={isBusy} onClick={act}>
        {children}
      </button>
      <Problem error={error} />
    </>
  );
}

interface FormProps {
  submit: () => Promise<unknown>;
  button: string;
  children: ComponentChildren;
  label: string;
}

/** A form whose button waits for what it does and shows why it failed. */
export function Form({ submit, button, label, children }: FormProps) {
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const act = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    await submit().catch(setError);
    setBusy(false);
  };
  return (
    <form onSubmit={act} aria-label={label}>
      {children}
      <button type="submit" class="primary" disabled={isBusy}>
        {button}
      </button>
      <Problem error={error} />
    </form>
  );
}

export function bytes(count: number): string {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  const power = Math.min(Math.floor(Math.log10(Math.max(count, 1)) / 3), units.length - 1);
  const value = count / 1000 ** power;
  return `${power ? value.toFixed(1) : value} ${units[power]}`;
}

export function day(instant: string | undefined): string {
  if (!instant) return "";
  return new Date(instant).toLocaleDateString(undefined, { dateStyle: "medium" });
}
