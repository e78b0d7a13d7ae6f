"""The README says what was measured."""

from docs.readme import README, rewritten


def test_tables_are_those_of_the_committed_results() -> None:
    text = README.read_text()
    assert rewritten(text) == text
    assert rewritten(text.replace("(5.47 to", "(5.48 to")) == text
