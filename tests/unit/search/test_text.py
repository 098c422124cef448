"""How text is folded, and how long terms are kept comparable."""

import pytest

from functions.search.text import MAX_LENGTH, exact, fold


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Müller", "muller"),
        ("MU\u0308LLER", "muller"),
        ("Straße", "strasse"),
        ("Søren Ærø", "soren aero"),
        ("Łódź", "lodz"),
        ("O'Brien", "obrien"),
        ("Smith-Jones", "smith jones"),
        ("  de\tla\n Cruz ", "de la cruz"),
        ("ﬁne", "fine"),
        ("İstanbul", "istanbul"),
        ("李 明", "李 明"),
        ("!?", ""),
    ],
)
def test_case_accents_and_punctuation_do_not_matter(text: str, folded: str) -> None:
    assert fold(text) == folded
    assert fold(folded) == folded


def test_terms_fit_into_the_engine() -> None:
    """Lucene takes 32,766 bytes of UTF-8."""
    assert len(fold("\N{ARABIC LIGATURE SALLALLAHOU ALAYHE WASALLAM}" * 8_000)) <= MAX_LENGTH
    assert len(fold("\N{GRINNING FACE}" * 20_000).encode()) < 32_766
    assert exact("x" * MAX_LENGTH) == "x" * MAX_LENGTH
    long = {exact("x" * MAX_LENGTH + end) for end in "ab"}
    assert len(long) == 2
    assert all(len(term) < 100 for term in long)
