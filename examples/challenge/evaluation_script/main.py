"""Scores a submission: a CSV with a probability for each image, against labels of a dataset.

What is raised or printed here may reach participants: nothing of it quotes a label.
"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from .datasets import Dataset


def evaluate(
    test_annotation_file: str, user_submission_file: str, phase_codename: str, **_: Any
) -> dict[str, Any]:
    """What EvalAI's worker calls, with the paths of both files; the scores of each split.

    ValueError says what is wrong with a submission.
    """
    place = json.loads(Path(test_annotation_file).read_text("utf-8"))
    labels_path = place.pop("labels")
    labels = labels_of(Dataset(**place).read(labels_path))
    found = submitted(Path(user_submission_file).read_text("utf-8"), set(labels))
    names = sorted(labels)
    truth, guesses = [labels[name] for name in names], [found[name] for name in names]
    scores = {"AUC": area(truth, guesses), "Brier": brier(truth, guesses)}
    return {"result": [{"hospital_a": scores}], "submission_result": scores}


def labels_of(content: bytes) -> dict[str, bool]:
    """Image -> whether it shows pneumonia, of a CSV with the columns image and label."""
    rows = csv.DictReader(io.StringIO(content.decode("utf-8")))
    return {row["image"]: row["label"] == "1" for row in rows}


def submitted(text: str, images: set[str]) -> dict[str, float]:
    """Image -> probability, of a CSV with the columns image and probability."""
    rows = csv.DictReader(io.StringIO(text))
    if set(rows.fieldnames or ()) != {"image", "probability"}:
        raise ValueError("The first line has to be: image,probability")
    found: dict[str, float] = {}
    for number, row in enumerate(rows, 2):
        try:
            found[row["image"]] = float(row["probability"])
        except (TypeError, ValueError):
            raise ValueError(f"Line {number}: the probability isn't a number.") from None
        if not 0 <= found[row["image"]] <= 1:
            raise ValueError(f"Line {number}: a probability is from 0 to 1.")
    if missing := len(images - set(found)):
        raise ValueError(f"{missing} of {len(images)} images have no probability.")
    return found


def area(truth: list[bool], guesses: list[float]) -> float:
    """Area under the ROC curve: how often one with pneumonia is rated above one without."""
    sick = [guess for is_sick, guess in zip(truth, guesses) if is_sick]  # noqa: B905 (Python 3.9)
    well = [guess for is_sick, guess in zip(truth, guesses) if not is_sick]  # noqa: B905
    won = sum((a > b) + 0.5 * (a == b) for a in sick for b in well)
    return won / (len(sick) * len(well))


def brier(truth: list[bool], guesses: list[float]) -> float:
    """Mean squared difference between probability and truth."""
    both = zip(truth, guesses)  # noqa: B905
    return sum((guess - is_sick) ** 2 for is_sick, guess in both) / len(truth)
