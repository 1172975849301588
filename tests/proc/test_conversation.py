"""What a child may say when, and what it changes: a few sentences for each row of the table."""

from __future__ import annotations

import pytest

from mt.aio.proc._protocol import (
    FAILED,
    IGNORED,
    PART,
    RAISED,
    READY,
    RELEASE,
    RETURNED,
    TOLD,
    Conversation,
    Event,
    Frame,
    ProtocolError,
    State,
)

UNASKED = [IGNORED, TOLD, RELEASE]  # what belongs to no message
ASKED = [RETURNED, RAISED, PART]


def _ready():
    conversation = Conversation()
    conversation.receive(Frame(READY, 0, []))
    return conversation


@pytest.mark.parametrize("kind", UNASKED)
@pytest.mark.parametrize(("make", "state"), [(Conversation, State.STARTING), (_ready, State.READY)])
def test_what_no_message_asked_for_changes_nothing(make, state, kind):
    """A child may say so while it is being set up, and at any time later."""
    conversation = make()
    number = conversation.send("waiter")
    for mentioned in (0, number):
        assert conversation.receive(Frame(kind, mentioned, [])) is None
    assert conversation.state is state
    assert conversation.forget(number)


@pytest.mark.parametrize("kind", ASKED)
def test_no_answer_comes_from_a_child_that_is_not_ready(kind):
    """None of the kinds of answers."""
    with pytest.raises(ProtocolError, match="while starting"):
        Conversation().receive(Frame(kind, 1, []))


@pytest.mark.parametrize("make", [Conversation, _ready])
def test_what_is_under_way_at_the_close_is_taken_and_dropped(make):
    """Whatever it is, in whatever order: also that the child is ready, or cannot be set up."""
    conversation = make()
    number = conversation.send("waiter")
    assert conversation.dismiss(Event.CLOSE) == ["waiter"]
    for kind in (READY, *ASKED, *UNASKED, FAILED):
        assert conversation.receive(Frame(kind, number, [])) is None
        assert conversation.state is State.CLOSING
    assert conversation.dismiss(Event.CLOSE) == []
    assert conversation.state is State.CLOSING


def test_a_child_that_cannot_be_set_up_may_still_be_heard():
    """It is closing then, not gone; nothing comes from one that is gone."""
    conversation = Conversation()
    conversation.receive(Frame(FAILED, 0, []))
    assert conversation.state is State.CLOSING
    assert conversation.dismiss(Event.END) == []
    for kind in (READY, *ASKED, *UNASKED, FAILED):
        with pytest.raises(ProtocolError, match="while ended"):
            conversation.receive(Frame(kind, 0, []))
