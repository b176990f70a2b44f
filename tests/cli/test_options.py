"""What the options of the tools say."""

from __future__ import annotations

import pytest

from caclient.cli.options import Call, Form, Options, Parser, UsageError
from caclient.dbr.types import ChannelType

HINT = "('prog -h' for help.)"


def parse(verb: str, line: str, **environ: str) -> tuple[Options, list[str]]:
    said: list[str] = []
    parser = Parser("prog", said.append, environ)
    return getattr(parser, verb)(line.split()), said


def test_the_last_form_wins_with_a_complaint() -> None:
    options, said = parse("get", "-t -a -d 6 x")
    assert (options.form, options.data_type) == (Form.TYPED, ChannelType.DOUBLE)
    assert said == [f"Options t,d,a are mutually exclusive. {HINT}"] * 2


def test_a_bad_type_puts_the_plain_form_back() -> None:
    options, said = parse("get", "-a -d nonsense -t")
    assert options.form is Form.TERSE
    assert said == [
        f"Options t,d,a are mutually exclusive. {HINT}",
        f"Requested dbr type out of range or invalid - ignored. {HINT}",
    ]


@pytest.mark.parametrize(
    ("text", "data_type"),
    [
        ("0", ChannelType.STRING),
        ("38x", ChannelType.CLASS_NAME),
        ("STS_SHORT", ChannelType.STS_INT),
        ("DBR_STRING", ChannelType.STRING),
        ("STRING", ChannelType.STRING),
        ("STSACK_STRING", ChannelType.STSACK_STRING),
        ("35", None),
        ("36", None),
        ("39", None),
        ("-1", None),
        ("PUT_ACKT", None),
        ("TIME_INT", None),
        ("double", None),
    ],
)
def test_types(text: str, data_type: ChannelType | None) -> None:
    options, _ = parse("get", f"-d {text} x")
    assert options.data_type == data_type
    assert options.form is (Form.PLAIN if data_type is None else Form.TYPED)


def test_another_base_after_a_type_replaces_it() -> None:
    assert parse("get", "-d 34 -0x x")[0].data_type == ChannelType.LONG
    assert parse("get", "-0x -d 34 x")[0].data_type == ChannelType.CTRL_DOUBLE
    assert parse("get", "-d 34 -0q x")[0].data_type == ChannelType.CTRL_DOUBLE


@pytest.mark.parametrize(
    ("line", "wait", "said"),
    [
        ("x", 1.0, []),
        ("-w 3 x", 3.0, []),
        ("-w 3 -w y x", 3.0, [f"'y' is not a valid timeout value - ignored, using '3.0'. {HINT}"]),
    ],
)
def test_how_long_to_wait(line: str, wait: float, said: list[str]) -> None:
    options, complaints = parse("get", line)
    assert (options.wait, complaints) == (wait, said)


def test_how_long_to_wait_from_the_environment() -> None:
    assert parse("info", "x", EPICS_CLI_TIMEOUT="0.3")[0].wait == 0.3
    assert parse("info", "-w 2 x", EPICS_CLI_TIMEOUT="0.3")[0].wait == 2.0
    options, said = parse("info", "-w z x", EPICS_CLI_TIMEOUT="0.3")
    assert said == [f"'z' is not a valid timeout value - ignored, using '0.3'. {HINT}"]
    options, said = parse("info", "x", EPICS_CLI_TIMEOUT="")
    assert options.wait == 1.0
    assert said == [
        "'' is not a valid timeout value (from 'EPICS_CLI_TIMEOUT' in the environment) - ignored. (use '-h' for help.)"
    ]


@pytest.mark.parametrize(
    ("text", "priority", "said"),
    [("30", 30, []), ("200", 99, []), ("-1", 99, []), ("x", 0, [f"'x' is not a valid CA priority - ignored. {HINT}"])],
)
def test_priority(text: str, priority: int, said: list[str]) -> None:
    options, complaints = parse("monitor", f"-p {text} x")
    assert (options.priority, complaints) == (priority, said)


def test_count() -> None:
    assert parse("get", "-# 3x x")[0].count == 3
    options, said = parse("get", "-# 3 -# y x")
    assert (options.count, said) == (0, [f"'y' is not a valid array element count - ignored. {HINT}"])


def test_digits() -> None:
    assert parse("get", "-e3 -g 12 x")[0].style.float_format == "%.12g"
    options, said = parse("get", "-f 2 -e -1 -g z x")
    assert options.style.float_format == "%.2f"
    assert said == [
        "Precision -1 for option '-e' out of range - ignored.",
        "Invalid precision argument 'z' for option '-g' - ignored.",
    ]


def test_bases() -> None:
    options, said = parse("monitor", "-lx -lz -0o -0 z x")
    assert (options.style.float_base, options.style.integer_base, options.data_type) == ("x", "o", None)
    assert said == [f"Invalid argument 'z' for option '-{letter}' - ignored." for letter in "l0"]


def test_the_separator_is_one_byte() -> None:
    assert parse("get", "-F ;; x")[0].style.separator == ";"
    assert parse("get", "-F ö x")[0].style.separator.encode("utf-8", "surrogateescape") == "ö".encode()[:1]
    parser = Parser("prog", print, {})
    assert parser.get(["-F", "", "x"]).style.separator == "\0"


def test_put_ends_at_its_name() -> None:
    options, _ = parse("put", "-c name -5 -t")
    assert options.words == ["name", "-5", "-t"] and options.completion and options.form is Form.PLAIN


def test_what_put_is_given_last_wins() -> None:
    options, said = parse("put", "-l -t -S -a -n -s n v")
    assert (options.form, options.as_array, options.style.characters_as_text) == (Form.TERSE, True, False)
    assert (options.states_by_name, options.style.states_as_numbers) == (True, False)
    assert said == []
    options, _ = parse("put", "-t -l -a -S -s -n n v")
    assert (options.form, options.as_array, options.style.characters_as_text) == (Form.ALL, False, True)
    assert (options.states_by_name, options.style.states_as_numbers) == (False, True)


@pytest.mark.parametrize(
    ("text", "mask", "said"),
    [
        ("v", 1, []),
        ("valp", 15, []),
        ("vv", 1, []),
        ("vx", 5, ["Invalid argument 'vx' for option '-m' - ignored."]),
        ("xq", 5, ["Invalid argument 'xq' for option '-m' - ignored."]),
    ],
)
def test_masks(text: str, mask: int, said: list[str]) -> None:
    options, complaints = parse("monitor", f"-m {text} x")
    assert (options.mask, complaints) == (mask, said)


@pytest.mark.parametrize(
    ("line", "server", "client", "kind", "said"),
    [
        ("x", True, False, "", []),
        ("-t n x", False, False, "", []),
        ("-t sc x", True, True, "", []),
        ("-t r x", False, False, "r", []),
        ("-tsriI x", True, False, "I", []),
        ("-t sI -t c x", False, True, "I", []),
        (
            "-t qcw x",
            False,
            True,
            "",
            ["Invalid argument 'q' for option '-t' - ignored.", "Invalid argument 'w' for option '-t' - ignored."],
        ),
    ],
)
def test_time_stamps(line: str, server: bool, client: bool, kind: str, said: list[str]) -> None:
    options, complaints = parse("monitor", line)
    assert (options.server_time, options.client_time, options.time_kind, complaints) == (server, client, kind, said)


@pytest.mark.parametrize(
    ("verb", "line", "call"),
    [
        ("get", "-h -q", Call.USAGE),
        ("get", "-i x", Call.MISUSE),
        ("info", "-n", Call.MISUSE),
        ("put", "-V", Call.VERSIONS),
        ("monitor", "--help", Call.HELP),
        ("put", "--version", Call.VERSION),
        ("get", "x", None),
    ],
)
def test_what_else_may_be_asked_for(verb: str, line: str, call: Call | None) -> None:
    assert parse(verb, line)[0].call is call


def test_an_unknown_option_ends_it_after_what_was_said_before() -> None:
    said: list[str] = []
    with pytest.raises(UsageError, match="Unrecognized option: '-q'") as caught:
        Parser("prog", said.append, {}).get(["-w", "x", "-q", "-f", "z"])
    assert str(caught.value).endswith(HINT) and len(said) == 1 and caught.value.status == 1


def test_interest() -> None:
    assert parse("info", "-s 2")[0].interest == 2
    options, said = parse("info", "-s z")
    assert (options.interest, said) == (0, [f"'z' is not a valid interest level - ignored. {HINT}"])
