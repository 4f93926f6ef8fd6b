"""Which of the frames that were sent have arrived."""

from __future__ import annotations

from pytest_netns._capture.program.crossings import _without_arrival


def test_each_that_is_sent_again_and_lost() -> None:
    def frames(*times: int) -> list[tuple[int, str, bool, bytes, int]]:
        return [(time, "eth0", True, b"the same", 8) for time in times]

    def lost(sent: list[int], arrived: list[int]) -> list[int]:
        return [frame[0] for frame in _without_arrival(frames(*sent), frames(*arrived))]

    assert lost([1, 2, 3], [1, 2, 3]) == []
    assert lost([1, 5, 9], [6]) == [1, 9]
    assert lost([1, 5], [6, 7]) == []
    assert lost([1], [2, 3]) == []
    assert lost([], [2]) == []
    assert lost([4], []) == [4]
