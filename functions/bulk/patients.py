"""Whose record a resource belongs to: for the exports of patients and of groups of them.

By R4's compartment of Patient, evaluated on the resource itself, so that no index has to have it.
"""

from __future__ import annotations

from typing import Any

from functions.bulk.jobs import Export, Job
from functions.search import paths
from functions.search.compartments import codes_of
from functions.search.parameters import for_type
from functions.shared import store
from functions.shared.items import Version
from functions.shared.resources import parse

_PREFIX = "Patient/"


class Patients:
    """All patients, or the members of a job's group, for the resources of one type."""

    def __init__(self, job: Job, type_: str) -> None:
        assert isinstance(job.work, Export)
        self._is_patient = type_ == "Patient"
        self._base_url = f"{job.base_url}/"
        known = for_type(type_)
        self._sources = [s for code in codes_of("Patient", type_) for s in known[code].sources]
        self._members = self._of_group(job.work.group) if job.work.group else None

    def have(self, version: Version) -> bool:
        """Whether it is one of them, or in the record of one. A deleted one is what it was."""
        if self._is_patient:
            found = {version.pk}
        else:
            gone = version.deleted or version.erased
            last = store.read(version.pk, version.version - 1) if gone else version
            found = self._named(parse(last.body)) if last and last.body else set[str]()
        return bool(found if self._members is None else found & self._members)

    def _named(self, resource: dict[str, Any]) -> set[str]:
        values = (v for s in self._sources for v in paths.values(resource, resource, s.steps))
        return {pk for value in values if (pk := self._key(value))}

    def _of_group(self, group: tuple[str, int]) -> set[str]:
        version = store.read(*group)
        members = parse(version.body).get("member", []) if version and version.body else []
        return {
            pk
            for member in members
            if member.get("inactive") is not True and (pk := self._key(member.get("entity")))
        }

    def _key(self, reference: Any) -> str:
        """The patient that a Reference names by type and id; "" for any other reference."""
        literal = reference.get("reference") if isinstance(reference, dict) else None
        if not isinstance(literal, str):
            return ""
        pk = literal.removeprefix(self._base_url).partition("/_history/")[0]
        return pk if pk.startswith(_PREFIX) and pk.count("/") == 1 else ""
