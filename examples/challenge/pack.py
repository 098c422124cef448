"""Packs this folder as EvalAI takes a challenge: one zip, with the evaluation script's in it.

python pack.py challenge.zip
"""

import io
import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCRIPT = "evaluation_script"


def files(folder: Path) -> list[Path]:
    found = (path for path in folder.rglob("*") if "__pycache__" not in path.parts)
    return sorted(path for path in found if path.is_file())


def packed(target: Path) -> None:
    script = io.BytesIO()
    with zipfile.ZipFile(script, "w", zipfile.ZIP_DEFLATED) as inner:
        for path in files(HERE / SCRIPT):
            inner.write(path, path.relative_to(HERE / SCRIPT))
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as outer:
        outer.writestr(f"{SCRIPT}.zip", script.getvalue())
        for name in ("challenge_config.yaml", "logo.png"):
            outer.write(HERE / name, name)
        for folder in ("annotations", "templates"):
            for path in files(HERE / folder):
                outer.write(path, path.relative_to(HERE))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    packed(Path(sys.argv[1]))
