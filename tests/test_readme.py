"""The README says what was measured."""

import re

from docs.readme import _TABLES, README, rewritten


def test_tables_are_those_of_the_committed_results() -> None:
    text = README.read_text()
    assert sorted(re.findall(r"<!-- table: (\w+) -->", text)) == sorted(_TABLES)
    assert rewritten(text) == text
    table = text.index("<!-- table: methods -->")
    wrong = text[:table] + re.sub(r"\d\.\d\d", "9.99", text[table:], count=1)
    assert wrong != text
    assert rewritten(wrong) == text
