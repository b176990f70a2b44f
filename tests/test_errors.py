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
}


@pytest.mark.parametrize("error", BUILTINS)
def test_each_is_a_caerror_and_a_builtin(error):
    assert issubclass(error, errors.CAError)
    assert issubclass(error, BUILTINS[error])
    assert str(error("what, where")) == "what, where"


def test_every_error_of_the_module_has_the_root():
    classes = [each for each in vars(errors).values() if isinstance(each, type) and each.__module__ == errors.__name__]
    assert len(classes) == len(BUILTINS) + 2  # the root, and ProtocolError above local and remote
    assert all(issubclass(each, errors.CAError) for each in classes)


def test_a_bad_payload_is_the_peers_fault():
    assert issubclass(errors.DecodeError, errors.RemoteProtocolError)
    assert issubclass(errors.RemoteProtocolError, errors.ProtocolError)
    assert issubclass(errors.LocalProtocolError, errors.ProtocolError)


def test_status_is_kept_and_survives_pickling():
    error = pickle.loads(pickle.dumps(errors.ChannelAccessError("get failed", 152)))
    assert (str(error), error.status) == ("get failed", 152)
    assert errors.ChannelAccessError("no status").status is None
