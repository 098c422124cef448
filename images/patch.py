"""Changes EvalAI's source where no setting reaches. Stops the build when there is nothing to do.

    python patch.py /code

What it takes out: the ACL `public-read` of multipart uploads. The media bucket refuses ACLs, and
submissions are nobody's but their team's.
"""

import re
import sys
from pathlib import Path

# As an argument (ACL="public-read",) or as a member of a dict ("ACL": "public-read",).
PUBLIC_ACL = re.compile(r"""["']?\bACL["']?\s*[=:]\s*["']public-read["']\s*,?[ \t]*\n?""")


def without_public_acl(source: str) -> str:
    """The source without such ACLs. Raises SyntaxError when what is left is no Python."""
    changed = PUBLIC_ACL.sub("", source)
    compile(changed, "patched", "exec")
    return changed


def main(root: Path) -> None:
    """Patches the tree. Exits when upstream has changed, so that somebody looks."""
    patched = []
    for path in sorted((root / "apps").rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if PUBLIC_ACL.search(source):
            path.write_text(without_public_acl(source), encoding="utf-8")
            patched.append(path)
        if "public-read" in path.read_text(encoding="utf-8") and "tests" not in path.parts:
            sys.exit(f"{path}: public-read is still there; images/patch.py doesn't know this form.")
    if not patched:
        sys.exit(f"No public-read ACL in {root}/apps: has upstream changed? See images/patch.py.")
    print("Without public ACL:", *patched)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
