"""The README says what was measured."""

import re

from docs.readme import _TABLES, README, rewritten


def test_tables_are_those_of_the_committed_results() -> None:
    text = README.read_text()
    assert sorted(re.findall(r"<!-- table: (\w+) -->", text)) == sorted(_TABLES)
    assert rewritten(text) == text
    assert rewritten(text.replace("(5.47 to", "(5.48 to")) == text
