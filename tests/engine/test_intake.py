"""When it is looked at what waits."""

from __future__ import annotations

from caclient.engine.intake import Intake


def test_it_is_looked_when_as_much_has_come_as_the_last_look_allowed():
    intake, looks = Intake(), []
    intake.received(10)  # there is nobody who could look

    def look() -> int:
        looks.append(1)
        return 100

    intake.look = look
    for _ in range(1000):
        intake.received(10)
    assert 90 <= len(looks) <= 100
