"""The tree of errors: one root, and each is the builtin that a user would catch."""

from __future__ import annotations

import pickle

import pytest

from caclient import errors

BUILTINS = {
    errors.CATimeoutError: TimeoutError,
    errors.DisconnectedError: ConnectionError,
    errors.AccessDeniedError: PermissionError,
    errors.ChannelAccessError: RuntimeError,
    errors.LocalProtocolError: ValueError,
    errors.RemoteProtocolError: ConnectionError,
    errors.DecodeError: ValueError,
    errors.BadValueError: ValueError,
    errors.ContextClosedError: RuntimeError,
    errors.ReentrantError: RuntimeError,
    errors.WrongTypeError: TypeError,
    errors.ReadOnlyError: PermissionError,
    errors.NoValueError: AttributeError,
    errors.LimitError: OSError,
}


@pytest.mark.parametrize("error", BUILTINS)
def test_each_is_a_caerror_and_a_builtin(error):
    assert issubclass(error, errors.CAError)
    assert issubclass(error, BUILTINS[error])
    assert str(error("what, where")) == "what, where"


def test_every_error_of_the_module_has_the_root():
    classes = [each for each in vars(errors).values() if isinstance(each, type) and each.__module__ == errors.__name__]
    assert len(classes) == len(BUILTINS) + 3  # the root, ProtocolError above local and remote, ManyFailedError
    assert all(issubclass(each, errors.CAError) for each in classes)


def test_a_bad_payload_is_the_peers_fault():
    assert issubclass(errors.DecodeError, errors.RemoteProtocolError)
    assert issubclass(errors.RemoteProtocolError, errors.ProtocolError)
    assert issubclass(errors.LocalProtocolError, errors.ProtocolError)


def test_status_is_kept_and_survives_pickling():
    error = pickle.loads(pickle.dumps(errors.ChannelAccessError("get failed", 152)))
    assert (str(error), error.status) == ("get failed", 152)
    assert errors.ChannelAccessError("no status").status is None


def test_many_failed_says_which_and_pickles():
    error = errors.ManyFailedError("1 of 2 failed", {"a": 1}, {"b": errors.CATimeoutError("late", pvname="b")})
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.results, str(again.failed["b"]), again.failed["b"].pvname) == (
        "1 of 2 failed",
        {"a": 1},
        "late",
        "b",
    )


def test_what_is_known_survives_pickling():
    error = errors.CATimeoutError("late", pvname="x", elapsed=2.0, phase="search")
    again = pickle.loads(pickle.dumps(error))
    assert (again.pvname, again.elapsed, again.phase, again.why) == ("x", 2.0, "search", None)


def test_a_missing_value_is_a_missing_attribute():
    class Holder:
        @property
        def value(self):
            raise errors.NoValueError("'x' has no value yet", pvname="x")

    assert not hasattr(Holder(), "value")
    with pytest.raises(errors.CAError, match="no value yet"):
        _ = Holder().value


def test_an_error_without_words_finds_them_when_it_is_looked_at():
    class Why:
        asked = 0

        def failure(self):
            self.asked += 1
            return "'x': no reply"

    why = Why()
    error = errors.CATimeoutError(why=why)
    assert why.asked == 0
    assert str(error) == "'x': no reply"
    assert str(errors.CATimeoutError("late", why=why)) == "late"
    assert str(errors.CATimeoutError()) == ""
