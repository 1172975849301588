"""The protocol by itself: frames in pieces, the table, who gets which reply. No process here."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mt.aio.proc._protocol import (
    FAILED,
    IGNORED,
    LARGE,
    MESSAGE,
    PART,
    RAISED,
    READY,
    RETURNED,
    SETUP,
    TABLE,
    Conversation,
    Event,
    Frame,
    Parser,
    ProtocolError,
    State,
    pack,
)

KINDS = st.integers(0, 6)
NUMBERS = st.integers(0, 2**64 - 1)
SIZES = st.one_of(st.integers(0, 40), st.integers(LARGE - 3, LARGE + 3), st.just(3 * LARGE + 1))
FRAMES = st.lists(st.tuples(KINDS, NUMBERS, st.lists(SIZES, max_size=4)), min_size=1, max_size=5)
PATTERN = bytes(range(251)) * (3 * LARGE // 251 + 2)


def _frames(shapes):
    """Build frames of these shapes, each segment with content that a shift would change."""
    offsets = itertools.count()
    return [
        Frame(kind, number, [PATTERN[(o := next(offsets)) : o + size] for size in sizes])
        for kind, number, sizes in shapes
    ]


def _read(stream, sizes):
    """Take a byte stream as a reader does, in pieces of at most these sizes."""
    parser, frames, position = Parser(), [], 0
    for size in itertools.cycle(sizes):
        if position == len(stream):
            break
        wanted = parser.wanted()
        if wanted is not None:
            assert len(wanted) > 0
            count = min(size, len(wanted), len(stream) - position)
            wanted[:count] = stream[position : position + count]
            frames += parser.filled(count)
        else:
            count = min(size, len(stream) - position)
            frames += parser.feed(stream[position : position + count])
        position += count
    assert parser.wanted() is None
    return frames


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(FRAMES, st.lists(st.integers(1, 2 * LARGE), min_size=1, max_size=8))
def test_frames_survive_any_cut(shapes, sizes):
    """Whatever pieces a stream of frames arrives in, the same frames come out, in order."""
    frames = _frames(shapes)
    stream = b"".join(bytes(buffer) for frame in frames for buffer in pack(frame))
    found = _read(stream, [*sizes, LARGE])  # the last: tiny pieces alone would take too long
    assert [(f.kind, f.number, [bytes(s) for s in f.segments]) for f in found] == [
        (f.kind, f.number, f.segments) for f in frames
    ]


@pytest.mark.parametrize("size", [0, 1, LARGE - 1, LARGE, LARGE + 1])
def test_a_frame_is_complete_with_its_last_byte(size):
    """Not a byte earlier is there a frame, nor is one more byte needed."""
    stream = b"".join(bytes(buffer) for buffer in pack(Frame(RETURNED, 7, [b"x" * size, b"ab"])))
    parser = Parser()
    assert parser.feed(stream[:-1]) == []
    (frame,) = parser.feed(stream[-1:])
    assert (frame.number, [len(s) for s in frame.segments]) == (7, [size, 2])


def test_frames_byte_by_byte():
    """A stream that trickles in gives the same frames."""
    frames = _frames([(READY, 0, []), (RETURNED, 1, [3, 0, 9]), (RAISED, 2, [0])])
    stream = b"".join(bytes(buffer) for frame in frames for buffer in pack(frame))
    assert [f.number for f in _read(stream, [1])] == [0, 1, 2]


def test_a_large_segment_may_be_written_to():
    """Arrays made from it are not read-only."""
    stream = b"".join(bytes(b) for b in pack(Frame(RETURNED, 1, [b"p", b"x" * LARGE])))
    (frame,) = _read(stream, [1000])
    assert not memoryview(frame.segments[1]).readonly


def _reach(state):
    """Give a conversation that stands in this state."""
    conversation = Conversation()
    conversation.state = state
    return conversation


@pytest.mark.parametrize("event", Event)
@pytest.mark.parametrize("state", State)
def test_every_pair_of_state_and_event(state, event):
    """A listed pair leads on; any other is refused, by name, and changes nothing."""
    conversation = _reach(state)
    if (state, event) in TABLE:
        conversation.happens(event)
        assert conversation.state is TABLE[state, event]
    else:
        with pytest.raises(ProtocolError, match=f"{event.value}.*{state.name.lower()}"):
            conversation.happens(event)
        assert conversation.state is state


def test_the_table_leads_to_the_end():
    """Every state can be ended; nothing leads out of the end, nor back from closing."""
    for state in State:
        assert TABLE[state, Event.END] is State.ENDED
    for (state, _), after in TABLE.items():
        assert after.value >= state.value, "states are left for later ones only"
    assert {event for state, event in TABLE if state is State.ENDED} == {Event.CLOSE, Event.END}


def test_messages_only_while_open():
    """A message may be sent as soon as the child is being started, and not after the close."""
    assert {state for state, event in TABLE if event is Event.SEND} == {
        State.STARTING,
        State.READY,
    }


def test_no_reply_before_the_child_is_ready():
    """A child that replies first is none of ours."""
    conversation = Conversation()
    number = conversation.send("waiter")
    with pytest.raises(ProtocolError, match="reply"):
        conversation.receive(Frame(RETURNED, number, []))


def test_an_unknown_kind_of_frame():
    """What a child does not say is refused."""
    with pytest.raises(ProtocolError, match="kind 99"):
        Conversation().receive(Frame(99, 1, []))


def test_a_failed_set_up_closes():
    """After it there is no sending, and those who wait stay until the end."""
    conversation = Conversation()
    conversation.send("waiter")
    assert conversation.receive(Frame(FAILED, 0, [])) is None
    with pytest.raises(ProtocolError):
        conversation.send("another")
    assert conversation.dismiss(Event.END) == ["waiter"]


STEPS = st.lists(
    st.one_of(
        st.just(("send",)),
        st.tuples(st.sampled_from(["reply", "forget", "raise", "part"]), st.integers(1, 12)),
        st.just(("ignored",)),
        st.just(("close",)),
    ),
    max_size=60,
)


@given(STEPS)
def test_no_sequence_misdirects_a_reply(steps):
    """Each reply reaches who sent its message, once, unless he has gone; at the end nobody waits.

    The model is a dict of those who wait, by number.
    """
    conversation = Conversation()
    conversation.receive(Frame(READY, 0, []))
    waiting, closed = {}, False
    for step, *number in steps:
        if step == "send" and not closed:
            waiter = object()
            new = conversation.send(waiter)
            assert new not in waiting
            waiting[new] = waiter
        elif step == "forget":
            assert conversation.forget(*number) is (waiting.pop(*number, None) is not None)
        elif step in ("reply", "raise"):
            kind = RETURNED if step == "reply" else RAISED
            assert conversation.receive(Frame(kind, *number, [])) is waiting.pop(*number, None)
        elif step == "part":
            assert conversation.receive(Frame(PART, *number, [])) is waiting.get(*number)
        elif step == "ignored":
            assert conversation.receive(Frame(IGNORED, 0, [])) is None
        elif step == "close" and not closed:
            closed = True
            assert conversation.dismiss(Event.CLOSE) == list(waiting.values())
            waiting.clear()
    assert conversation.dismiss(Event.END) == list(waiting.values())
    assert conversation.dismiss(Event.END) == []


def test_a_part_is_for_who_waits_and_goes_on_waiting():
    """A stream's parts all reach the caller, and so does the end; of the rest he hears nothing."""
    conversation = Conversation()
    conversation.receive(Frame(READY, 0, []))
    number = conversation.send("waiter")
    assert conversation.receive(Frame(PART, number, [])) == "waiter"
    assert conversation.receive(Frame(IGNORED, number, [])) is None
    assert conversation.receive(Frame(PART, number, [])) == "waiter"
    assert conversation.receive(Frame(RETURNED, number, [])) == "waiter"
    assert conversation.receive(Frame(PART, number, [])) is None


def test_no_message_has_the_number_of_none():
    """Frames that belong to no message bear 0: the first message has another number."""
    assert Conversation().send("waiter") != 0


def test_numbers_are_never_used_again():
    """A late reply to a forgotten message finds nobody, even after many more messages."""
    conversation = Conversation()
    conversation.receive(Frame(READY, 0, []))
    late = conversation.send("late")
    conversation.forget(late)
    assert late not in {conversation.send("later") for _ in range(1000)}
    assert conversation.receive(Frame(RETURNED, late, [])) is None


def test_kinds_of_frames_are_told_apart():
    """No two kinds of frames look alike; what is small is laid out as one buffer."""
    kinds = [SETUP, MESSAGE, READY, FAILED, RETURNED, RAISED, IGNORED]
    assert len(set(kinds)) == len(kinds)
    assert LARGE > 1000
    assert len(pack(Frame(MESSAGE, 1, [b"small"]))) == 1
    assert len(pack(Frame(MESSAGE, 1, [bytes(LARGE)]))) == 2
