"""What can be shown of the images without Docker: the patch of EvalAI's source."""

from pathlib import Path

import pytest

from images.patch import main, without_public_acl

FORMS = [
    'start(Bucket=b, ACL="public-read", Key=k)\n',
    "start(\n    Bucket=b,\n    ACL='public-read',\n    Key=k,\n)\n",
    'start(Bucket=b, Key=k, ACL="public-read")\n',
    'start(**{"Bucket": b, "ACL": "public-read", "Key": k})\n',
]


@pytest.mark.parametrize("source", FORMS)
def test_public_acl_goes_and_the_rest_stays(source: str) -> None:
    changed = without_public_acl(source)
    assert "ACL" not in changed
    called: dict[str, str] = {}
    exec(changed, {"start": called.update, "b": "bucket", "k": "key"})  # noqa: S102
    assert called == {"Bucket": "bucket", "Key": "key"}


def test_build_stops_when_upstream_has_changed(tmp_path: Path) -> None:
    module = tmp_path / "apps" / "challenges" / "utils.py"
    module.parent.mkdir(parents=True)
    module.write_text("start(Bucket=b)\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="No public-read ACL"):
        main(tmp_path)
    module.write_text('acl = "public-read"\nstart(Bucket=b, ACL=acl)\n', encoding="utf-8")
    with pytest.raises(SystemExit, match="still there"):
        main(tmp_path)
    module.write_text(FORMS[0], encoding="utf-8")
    main(tmp_path)
    assert "public-read" not in module.read_text(encoding="utf-8")
