"""One text for two databases."""

from waymeet.store.statement import Statement


def test_parameters_in_their_natural_order_need_no_reordering() -> None:
    statement = Statement("SELECT $1, $2")
    assert statement.sqlite == "SELECT ?, ?"
    assert statement.sqlite_order is None


def test_parameters_used_twice_or_out_of_order_are_handed_over_as_used() -> None:
    statement = Statement("SELECT $2, $1, $2")
    assert statement.sqlite == "SELECT ?, ?, ?"
    assert statement.sqlite_order == (1, 0, 1)


def test_sqlites_own_text_has_parameters_of_its_own() -> None:
    statement = Statement("SELECT $1, $2 FOR UPDATE", sqlite="SELECT $2, $1")
    assert statement.postgres == "SELECT $1, $2 FOR UPDATE"
    assert statement.sqlite == "SELECT ?, ?"
    assert statement.sqlite_order == (1, 0)
