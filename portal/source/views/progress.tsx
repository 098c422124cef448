import { useEffect, useState } from "preact/hooks";
import type { UploadFile, Uploader } from "../uploads";
import { Action, bytes } from "./parts";

/** Of the files on their way: those that wait or are done only count. */
const LISTED = 50;

/** How far an upload is, in all and by file, and the buttons that stop it and go on. */
export function Progress({ uppy, files }: { uppy: Uploader; files: UploadFile[] }) {
  const total = files.reduce((sum, file) => sum + (file.size ?? 0), 0);
  const moved = files.reduce((sum, file) => sum + (file.progress.bytesUploaded || 0), 0);
  const failed = files.filter((file) => file.error);
  const done = files.filter((file) => file.progress.complete && !file.error).length;
  const isPaused = files.some((file) => file.isPaused);
  const isOver = done + failed.length === files.length;
  const isSending = files.some((file) => !file.error && !file.progress.uploadComplete);
  const rate = useRate(moved, isPaused || !isSending);
  const left = rate > 0 ? duration((total - moved) / rate) : "";
  const state = isOver
    ? failed.length
      ? `${done} of ${files.length} files are there, ${failed.length} failed.`
      : `All ${files.length} files are there, verified.`
    : isPaused
      ? "Paused."
      : isSending
        ? `Sending: ${done} of ${files.length} files verified.`
        : "All is sent, and being verified.";
  return (
    <div class="progress">
      <p role="status">{state}</p>
      <progress aria-label="All files" max={total || 1} value={moved} />
      <p class="hint">
        {bytes(moved)} of {bytes(total)}
        {rate > 0 && ` · ${bytes(rate)}/s · ${left} left`}
      </p>
      <div class="actions">
        {isSending && !isPaused && (
          <button type="button" onClick={() => uppy.pauseAll()}>
            Pause
          </button>
        )}
        {isPaused && (
          <button type="button" class="primary" onClick={() => uppy.resumeAll()}>
            Go on
          </button>
        )}
        {failed.length > 0 && (
          <Action kind="primary" run={() => uppy.retryAll()}>
            Try again
          </Action>
        )}
        {isOver && (
          <button type="button" onClick={() => uppy.clear()}>
            Clear
          </button>
        )}
      </div>
      <ul class="rows">
        {files
          .filter((file) => file.error || isMoving(file))
          .slice(0, LISTED)
          .map((file) => (
            <Row key={file.id} file={file} />
          ))}
      </ul>
    </div>
  );
}

function Row({ file }: { file: UploadFile }) {
  const { uploadComplete, bytesUploaded } = file.progress;
  const state = file.error
    ? `failed: ${file.error}`
    : uploadComplete
      ? "being verified"
      : bytesUploaded
        ? `${bytes(bytesUploaded)} of ${bytes(file.size ?? 0)}`
        : file.isPaused
          ? "waits"
          : "being read";
  return (
    <li class={file.error ? "failed" : ""}>
      <span class="path">{file.meta.path}</span>
      <progress
        aria-label={file.meta.path}
        max={file.size || 1}
        value={file.error ? 0 : bytesUploaded || 0}
      />
      <span class="hint">{state}</span>
    </li>
  );
}

function isMoving(file: UploadFile): boolean {
  return Boolean(file.progress.uploadStarted) && !file.progress.complete;
}

/** Bytes per second of the last few seconds; none while nothing is to be sent. */
function useRate(moved: number, isStill: boolean): number {
  const [marks, setMarks] = useState<{ at: number; moved: number }[]>([]);
  const now = Date.now();
  useEffect(() => {
    if (isStill) return setMarks([]);
    setMarks((marks) => [...marks.filter((mark) => now - mark.at < 5000), { at: now, moved }]);
  }, [moved, isStill]);
  const first = marks[0];
  const seconds = first ? (now - first.at) / 1000 : 0;
  return first && seconds > 0.5 ? Math.max(0, moved - first.moved) / seconds : 0;
}

function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "";
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  if (seconds < 3600) return `${Math.ceil(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}
