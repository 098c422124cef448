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

/** A page's title, which has the focus when it comes up, as a new document's beginning would. */
export function PageHeading({ title }: { title: string }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · AI4H`;
    heading.current?.focus();
  }, [title]);
  return (
    <h1 tabIndex={-1} ref={heading}>
      {title}
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

/** Runs something once at a time: whether it is under way, and why it failed. */
function useTask(run: () => Promise<unknown>) {
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const start = async (): Promise<void> => {
    setBusy(true);
    setError(undefined);
    await run().catch(setError);
    setBusy(false);
  };
  return { isBusy, error, start };
}

interface ActionProps {
  run: () => Promise<unknown>;
  kind?: "primary" | "danger" | "plain";
  label?: string;
  children: ComponentChildren;
}

/** A button that waits for what it does and shows why it failed. */
export function Action({ run, kind = "plain", label, children }: ActionProps) {
  const { isBusy, error, start } = useTask(run);
  return (
    <>
      <button type="button" class={kind} aria-label={label} disabled={isBusy} onClick={start}>
        {children}
      </button>
      <Problem error={error} />
    </>
  );
}

interface FormProps {
  label: string;
  button: string;
  submit: () => Promise<unknown>;
  children: ComponentChildren;
}

/** A form that waits for what it does and shows why it failed. */
export function Form({ label, button, submit, children }: FormProps) {
  const { isBusy, error, start } = useTask(submit);
  const send = (event: Event): void => {
    event.preventDefault();
    void start();
  };
  return (
    <form onSubmit={send} aria-label={label}>
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
