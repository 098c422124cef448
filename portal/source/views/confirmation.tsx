import { useId, useRef } from "preact/hooks";
import { Action } from "./parts";

interface ConfirmationProps {
  button: string;
  question: string;
  consequence: string;
  confirm: string;
  run: () => Promise<unknown>;
}

/** A button that asks before it does what can't be undone; the browser keeps the focus inside. */
export function Confirmation(props: ConfirmationProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useId();
  return (
    <>
      <button type="button" class="danger" onClick={() => dialog.current?.showModal()}>
        {props.button}
      </button>
      <dialog ref={dialog} aria-labelledby={heading}>
        <h2 id={heading}>{props.question}</h2>
        <p>{props.consequence}</p>
        <div class="actions">
          <button type="button" autofocus onClick={() => dialog.current?.close()}>
            Keep it
          </button>
          <Action kind="danger" run={props.run}>
            {props.confirm}
          </Action>
        </div>
      </dialog>
    </>
  );
}
