"""Starts the state machines that run bulk jobs, named by EXPORT_MACHINE and IMPORT_MACHINE."""

from __future__ import annotations

import os

from functions.bulk.jobs import Export, Job
from functions.shared.clients import step_functions
from functions.shared.resources import serialise


def run(job: Job) -> None:
    """Starts the machine of the job's kind; the execution has the job's name."""
    name = "EXPORT_MACHINE" if isinstance(job.work, Export) else "IMPORT_MACHINE"
    step_functions().start_execution(
        stateMachineArn=os.environ[name], name=job.id, input=serialise({"job": job.id}).decode()
    )
