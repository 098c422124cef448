import { getDroppedFiles } from "@uppy/core/utils";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { named } from "../files";
import type { Note } from "../journal";
import { abandon, statusOf } from "../transfer";
import { type Uploader, type UploadFile, begin } from "../uploads";
import type { Context } from "./app";
import { Action, Problem, bytes, useLoaded } from "./parts";
import { Progress } from "./progress";

/** How many unfinished files are listed: each is asked how far it is. */
const LISTED = 20;

interface UploadProps extends Context {
  id: string;
  /** Something came into the dataset. */
  done: () => void;
}

/** Where files are dropped or chosen, and how far they are. */
export function Upload({ api, uploads, id, done }: UploadProps) {
  const uppy = uploads.of(id);
  const files = useFiles(uppy);
  const begun = useLoaded(() => uploads.journal(id).all(), [id]);
  const [said, setSaid] = useState("");
  const [problem, setProblem] = useState<unknown>();
  useEffect(() => {
    const completed = (): void => {
      begun.reload();
      done();
    };
    uppy.on("complete", completed);
    uploads.finish(id).then((found) => found && completed(), setProblem);
    return () => uppy.off("complete", completed);
  }, [uppy]);

  const take = (chosen: File[]): void => {
    const found = named(chosen);
    if (!found.length) return setSaid("There are no files in what you chose.");
    const added = begin(uppy, found);
    const rest = found.length - added;
    setSaid(rest ? `${rest} of ${found.length} have names that are on their way already.` : "");
  };
  const paths = new Set(files.map((file) => file.meta.path));
  return (
    <section>
      <h2>Upload</h2>
      <DropZone take={take} />
      <p role="status" class="hint">
        {said}
      </p>
      <Problem error={problem} />
      {files.length > 0 && <Progress uppy={uppy} files={files} />}
      <Interrupted
        api={api}
        notes={begun.value?.filter((note) => !paths.has(note.path)) ?? []}
        forget={async (note) => {
          await abandon(api, note);
          await uploads.journal(id).strike(note.path);
          begun.reload();
        }}
      />
    </section>
  );
}

function DropZone({ take }: { take: (files: File[]) => void }) {
  const [isOver, setOver] = useState(false);
  const drop = async (event: DragEvent): Promise<void> => {
    event.preventDefault();
    setOver(false);
    if (event.dataTransfer) take(await getDroppedFiles(event.dataTransfer));
  };
  const over = (event: DragEvent): void => {
    event.preventDefault();
    setOver(true);
  };
  return (
    <div
      class={`drop ${isOver ? "over" : ""}`}
      onDragOver={over}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
    >
      <p>Drop a folder or files here, or</p>
      <div class="actions">
        <Chooser take={take} label="Choose a folder" isFolder />
        <Chooser take={take} label="Choose files" />
      </div>
      <p class="hint">
        Every byte is checked. You may close this page at any time and go on within seven days.
      </p>
    </div>
  );
}

interface ChooserProps {
  take: (files: File[]) => void;
  label: string;
  isFolder?: boolean;
}

function Chooser({ take, label, isFolder = false }: ChooserProps) {
  const input = useRef<HTMLInputElement>(null);
  const id = useId();
  useEffect(() => {
    if (input.current) input.current.webkitdirectory = isFolder;
  }, [isFolder]);
  return (
    <>
      <button type="button" onClick={() => input.current?.click()}>
        {label}
      </button>
      <input
        ref={input}
        id={id}
        type="file"
        multiple
        hidden
        aria-label={label}
        onChange={(event) => {
          take([...(event.currentTarget.files ?? [])]);
          event.currentTarget.value = "";
        }}
      />
    </>
  );
}

interface InterruptedProps extends Pick<Context, "api"> {
  notes: Note[];
  forget: (note: Note) => Promise<void>;
}

/** What was begun before this page was opened: browsers ask for the files again. */
function Interrupted({ api, notes, forget }: InterruptedProps) {
  if (!notes.length) return null;
  return (
    <div class="notice">
      <h3>Not finished</h3>
      <p>
        Choose the same folder or files again, and they go on where they stopped; what has arrived
        isn't sent twice.
      </p>
      <ul class="cards">
        {notes.slice(0, LISTED).map((note) => (
          <Begun key={note.path} api={api} note={note} forget={() => forget(note)} />
        ))}
      </ul>
      {notes.length > LISTED && <p>… and {notes.length - LISTED} more.</p>}
    </div>
  );
}

interface BegunProps extends Pick<Context, "api"> {
  note: Note;
  forget: () => Promise<void>;
}

function Begun({ api, note, forget }: BegunProps) {
  const { value: status } = useLoaded(() => statusOf(api, note.binary), [note.binary]);
  const arrived = status?.received?.reduce((sum, part) => sum + part.size, 0) ?? 0;
  return (
    <li class="card">
      <span class="path">{note.path}</span>
      <span class="hint">
        {bytes(arrived)} of {bytes(note.size)} arrived
        {status?.status === "rejected" && `; rejected: ${status.reason}`}
      </span>
      <Action label={`Give up ${note.path}`} run={forget}>
        Give up
      </Action>
    </li>
  );
}

/** The uploader's files, at most once per frame: tens of thousands report their progress. */
function useFiles(uppy: Uploader): UploadFile[] {
  const [files, setFiles] = useState(() => uppy.getFiles() as UploadFile[]);
  useEffect(() => {
    let frame = 0;
    const show = (): void => {
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        setFiles(uppy.getFiles() as UploadFile[]);
      });
    };
    uppy.on("state-update", show);
    show();
    return () => {
      uppy.off("state-update", show);
      cancelAnimationFrame(frame);
    };
  }, [uppy]);
  return files;
}
