"""Where a rollout can go: the table is whole, and every end but one can be begun again."""

from __future__ import annotations

import pytest

from grove_core.base.rollouts import BY_ITSELF, TRANSITIONS, RolloutAction, RolloutState, allowed


def test_every_state_is_in_the_table_and_can_be_reached() -> None:
    assert TRANSITIONS.keys() == set(RolloutState)
    reached = {there for ways in TRANSITIONS.values() for there in ways.values()}
    assert reached == set(RolloutState)


@pytest.mark.parametrize("state", RolloutState)
def test_one_that_lasts_can_be_ended_and_one_that_ended_cannot(state: RolloutState) -> None:
    ends = {RolloutAction.ABORT, RolloutAction.FAIL, RolloutAction.PROMOTE}
    assert (ends <= TRANSITIONS[state].keys()) is not state.ended
    assert not (state.ended and TRANSITIONS[state].keys() & ends)


@pytest.mark.parametrize("state", RolloutState)
def test_people_are_told_only_of_what_they_can_call_for(state: RolloutState) -> None:
    assert allowed(state)
    assert not set(allowed(state)) & BY_ITSELF
