import json

import pytest

from waymeet.client import DeploymentField, DeploymentQuery, Operator


def test_steps_add_up_in_their_order() -> None:
    query = (
        DeploymentQuery()
        .application("arena")
        .status("READY", "deploying")
        .free_sockets(at_least=2)
        .joinable()
        .where(DeploymentField.CREATED_AT, Operator.GT, "2025-07-01 12:00:00")
        .fullest_first()
        .newest_first()
    )
    assert json.loads(query.as_text()) == {
        "filters": [
            {"field": "application", "operator": "eq", "value": "arena"},
            {"field": "status", "operator": "in", "value": ["ready", "deploying"]},
            {"field": "available_session_sockets", "operator": "gte", "value": 2},
            {"field": "is_joinable_by_session", "operator": "eq", "value": True},
            {"field": "created_at", "operator": "gt", "value": "2025-07-01 12:00:00"},
        ],
        "order_by": [
            {"field": "available_session_sockets", "order": "asc"},
            {"field": "created_at", "order": "desc"},
        ],
    }


def test_a_step_leaves_the_query_before_it_alone() -> None:
    base = DeploymentQuery().application("arena")
    base.tagged("ranked")
    assert json.loads(base.as_text())["filters"] == [{"field": "application", "operator": "eq", "value": "arena"}]


@pytest.mark.parametrize(
    ("operator", "value", "wanted"), [(Operator.IN, "ranked", "a list of values"), (Operator.EQ, ["a"], "one value")]
)
def test_values_fit_their_operator(operator: Operator, value: str | list[str], wanted: str) -> None:
    with pytest.raises(ValueError, match=f"{operator.value} on tags takes {wanted}"):
        DeploymentQuery().where(DeploymentField.TAGS, operator, value)
