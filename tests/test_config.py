"""EPICS_CA_* as libca and an IOC read them."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given, strategies as st

from caclient.config import Config, parse_address_list
from caclient.errors import BadValueError, WrongTypeError
from caclient.settings import CHECKS
from tests.vectors import table

VARIABLES = table("environment")


def env(**variables: str) -> Config:
    return Config.from_env({f"EPICS_{name}": text for name, text in variables.items()})


def test_empty_environment_is_the_defaults():
    config = Config.from_env({})
    assert config == Config()
    assert config.problems == ()


def test_process_environment_is_the_default(monkeypatch):
    monkeypatch.setenv("EPICS_CA_CONN_TMO", "7.5")
    assert Config.from_env().conn_timeout == 7.5


def test_defaults_are_those_of_the_table():
    defaults = {row["name"]: row["default"] for row in VARIABLES}
    config = Config()
    assert config.conn_timeout == float(defaults["EPICS_CA_CONN_TMO"])
    assert config.beacon_period == float(defaults["EPICS_CA_BEACON_PERIOD"])
    assert config.max_search_period == float(defaults["EPICS_CA_MAX_SEARCH_PERIOD"])
    assert config.repeater_port == config.beacon_port == int(defaults["EPICS_CA_REPEATER_PORT"])
    assert config.server_port == config.cas_server_port == int(defaults["EPICS_CA_SERVER_PORT"])
    assert config.mcast_ttl == int(defaults["EPICS_CA_MCAST_TTL"])


def test_any_text_in_any_variable_never_raises():
    for text in ("", " ", "x", "-1", "1e999", "nan", "0", "99999999999999999999", "\0", "é", "a:b:c", ":", "1.2.3.4:x"):
        Config.from_env({row["name"]: text for row in VARIABLES})


NUMBERS = st.integers(4000, 9000).map(lambda digits: "9" * digits)
TEXTS = st.one_of(st.text(), NUMBERS, NUMBERS.map("host:{}".format), NUMBERS.map("1.2.3.{}".format), st.just("²³:１２"))


@given(st.dictionaries(st.sampled_from([*(row["name"] for row in VARIABLES), "CACLIENT_READ_ONLY", "LOGNAME"]), TEXTS))
def test_from_env_never_raises(environ):
    """4,300 digits are where Python's own conversion begins to."""
    config = Config.from_env(environ)
    assert all(len(problem) < 200 for problem in config.problems)


def test_a_name_that_no_server_accepts_is_cut_and_told():
    config = Config.from_env({"LOGNAME": "é" * 300, "USER": "me"})
    assert config.user == "é" * 255
    assert config.problems == ("LOGNAME: a name of 300 characters: cut to what servers accept",)
    assert "user = " + "é" * 255 + " (LOGNAME)" in config.describe()
    assert Config.from_env({"LOGNAME": "me"}).user is None


@pytest.mark.parametrize("text, on", [("1", True), ("YES", True), ("0", False), ("off", False), ("", False)])
def test_read_only(text, on):
    config = Config.from_env({"CACLIENT_READ_ONLY": text})
    assert (config.read_only, config.problems) == (on, ())


def test_read_only_that_cannot_be_read_is_told():
    (problem,) = Config.from_env({"CACLIENT_READ_ONLY": "perhaps"}).problems
    assert problem == "CACLIENT_READ_ONLY: 'perhaps' is neither 1 nor 0: False is used"


@pytest.mark.parametrize(
    "setting, value, advice",
    [
        ("addr_list", "a,b", "'a,b' is no address: separate addresses by blanks"),
        ("addr_list", ["tcp://ioc"], "give host:port without a scheme"),
        ("addr_list", "ioc:99999", "is no address: give a host's name"),
        ("addr_list", ("ioc", 5064), "5064 is no address: give 'host', 'host:port' or"),
        ("addr_list", [("ioc", 99999)], "is no address"),
        ("addr_list", 7, "addr_list=7: give text with blanks"),
        ("name_servers", b"ioc", "give text with blanks"),
        ("ignore_addr_list", [None], "None is no address"),
    ],
)
def test_address_arguments_that_cannot_be(setting, value, advice):
    with pytest.raises(BadValueError) as raised:
        Config(**{setting: value})
    assert advice in str(raised.value)
    assert str(raised.value).startswith(setting)


def test_every_setting_is_checked():
    lists = {"addr_list", "name_servers", "intf_addr_list", "beacon_addr_list", "ignore_addr_list"}
    assert {field.name for field in dataclasses.fields(Config) if field.compare} == CHECKS.keys() | lists


def test_a_setting_that_there_is_none_of():
    with pytest.raises(WrongTypeError, match="there is no setting 'addr': there are addr_list, auto_addr_list, "):
        Config().replace(addr="x")


@pytest.mark.parametrize(
    "text, port", [("5100", 5100), (" 5100 x", 5100), ("5001", 5001), ("65535", 65535), ("5101.9", 5101)]
)
def test_port(text, port):
    assert env(CA_SERVER_PORT=text).server_port == port


@pytest.mark.parametrize("text", ["5000", "65536", "-5100", "x", ""])
def test_bad_port_falls_back_and_is_told(text):
    config = env(CA_REPEATER_PORT=text)
    assert config.repeater_port == 5065
    (problem,) = config.problems  # once, though it is the default of EPICS_CAS_BEACON_PORT too
    assert problem.startswith(f"EPICS_CA_REPEATER_PORT: {text!r} is no ")


@pytest.mark.parametrize("text", ["", "x", "1.0 2.0", "0", "-3", "nan", "inf"])
def test_bad_seconds_fall_back_and_are_told(text):
    config = env(CA_CONN_TMO=text)
    assert config.conn_timeout == 30.0
    assert len(config.problems) == 1


@pytest.mark.parametrize("text", ["no", "NO", "nope", "I say NO"])
def test_auto_addr_list_off(text):
    assert not env(CA_AUTO_ADDR_LIST=text).auto_addr_list


@pytest.mark.parametrize("text", ["YES", "", "No", "nO", "0", "false", "x" * 31 + "no"])
def test_auto_addr_list_on(text):
    assert env(CA_AUTO_ADDR_LIST=text).auto_addr_list


@pytest.mark.parametrize("text, on", [("yes", True), ("YES", True), ("", True), ("no", False), ("y", False)])
def test_auto_beacon_addr_list(text, on):
    assert env(CAS_AUTO_BEACON_ADDR_LIST=text).auto_beacon_addr_list is on


@pytest.mark.parametrize(
    "auto, limit, expected",
    [
        (None, "20000", None),
        ("YES", "20000", None),
        ("", "20000", None),
        ("no", "20000", 20024),
        ("no", "100", 16384 + 24),
        ("no", None, 16384 + 24),
        ("no", "x", 16384 + 24),
    ],
)
def test_array_limit_only_where_auto_is_not_yes(auto, limit, expected):
    given = {"CA_AUTO_ARRAY_BYTES": auto, "CA_MAX_ARRAY_BYTES": limit}
    config = env(**{name: text for name, text in given.items() if text is not None})
    assert config.max_array_bytes == expected


def test_array_limit_says_where_it_is_from():
    assert env(CA_AUTO_ARRAY_BYTES="no").origins["max_array_bytes"] == "EPICS_CA_AUTO_ARRAY_BYTES"
    both = env(CA_AUTO_ARRAY_BYTES="no", CA_MAX_ARRAY_BYTES="50000")
    assert both.origins["max_array_bytes"] == "EPICS_CA_MAX_ARRAY_BYTES"


def test_short_search_period_is_raised_and_told():
    config = env(CA_MAX_SEARCH_PERIOD="10")
    assert config.max_search_period == 60.0
    assert "raised" in config.problems[0]
    assert env(CA_MAX_SEARCH_PERIOD="90").max_search_period == 90.0


@pytest.mark.parametrize("text, ttl", [("32", 32), ("0", 0), ("256", 1), ("-1", 1)])
def test_multicast_ttl(text, ttl):
    assert env(CA_MCAST_TTL=text).mcast_ttl == ttl


def test_server_variables_fall_back_on_the_clients():
    config = env(CA_SERVER_PORT="5100", CA_REPEATER_PORT="5101", CA_BEACON_PERIOD="3")
    assert (config.cas_server_port, config.beacon_port, config.beacon_period) == (5100, 5101, 3.0)
    config = env(CA_SERVER_PORT="5100", CAS_SERVER_PORT="5200", CAS_BEACON_PORT="5201", CAS_BEACON_PERIOD="4")
    assert (config.server_port, config.cas_server_port, config.beacon_port) == (5100, 5200, 5201)
    assert config.beacon_period == 4.0


def test_lists_take_the_port_of_their_kind():
    config = env(
        CA_SERVER_PORT="5100",
        CA_REPEATER_PORT="5101",
        CAS_SERVER_PORT="5200",
        CA_ADDR_LIST="10.0.0.1 10.0.0.2:7000",
        CA_NAME_SERVERS="ns",
        CAS_INTF_ADDR_LIST="10.0.0.3",
        CAS_BEACON_ADDR_LIST="10.0.0.255",
        CAS_IGNORE_ADDR_LIST="10.0.0.9",
    )
    assert config.addr_list == (("10.0.0.1", 5100), ("10.0.0.2", 7000))
    assert config.name_servers == (("ns", 5100),)
    assert config.intf_addr_list == (("10.0.0.3", 5200),)
    assert config.beacon_addr_list == (("10.0.0.255", 5101),)
    assert config.ignore_addr_list == (("10.0.0.9", 5100),)


@pytest.mark.parametrize(
    "text, address",
    [
        ("127.0.0.1", ("127.0.0.1", 5064)),
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("2130706433", ("127.0.0.1", 5064)),
        ("2130706433:65535", ("127.0.0.1", 65535)),
        ("ioc-7.lab_x", ("ioc-7.lab_x", 5064)),
        ("ioc:5070", ("ioc", 5070)),
        ("010.1.1.1", ("10.1.1.1", 5064)),
    ],
)
def test_address_entry(text, address):
    assert parse_address_list(text, 5064) == ((address,), ())


@pytest.mark.parametrize(
    "text", ["a,b", "256.1.1.1", "4294967296", "host:", "host:x", "host:65536", ":5064", "h:1:2", "ho/st", "1.2.3.4,"]
)
def test_bad_entry_is_skipped_and_told(text):
    found, problems = parse_address_list(f"ok {text}\tok2", 1)
    assert found == (("ok", 1), ("ok2", 1))
    assert problems == (f"{text!r} is no address: skipped",)


def test_repeated_entry_is_dropped_and_told():
    found, problems = parse_address_list("a b\r\na:1", 1)
    assert found == (("a", 1), ("b", 1))
    assert "twice" in problems[0]


def test_problems_of_lists_name_the_variable():
    assert env(CA_ADDR_LIST="a,b").problems == ("EPICS_CA_ADDR_LIST: 'a,b' is no address: skipped",)


def test_lists_may_be_given_as_text_or_pairs():
    wanted = (("127.0.0.1", 5100), ("ioc", 5101))
    assert Config(server_port=5100, addr_list="127.0.0.1 ioc:5101").addr_list == wanted
    assert Config(server_port=5100, addr_list=["127.0.0.1", ("ioc", 5101), "ioc:5101"]).addr_list == wanted
    assert Config(addr_list="a a:5064 a").addr_list == (("a", 5064),)


def test_isolated_touches_nothing_but_loopback():
    config = Config.isolated(conn_timeout=2.0, addr_list="127.0.0.1:5555")
    assert not config.auto_addr_list
    assert not config.auto_beacon_addr_list
    assert config.server_port == config.cas_server_port == config.repeater_port == config.beacon_port == 0
    assert config.intf_addr_list == (("127.0.0.1", 0),)
    assert (config.conn_timeout, config.addr_list) == (2.0, (("127.0.0.1", 5555),))


def test_frozen_hashable_and_replaced():
    config = env(CA_CONN_TMO="5", CA_MCAST_TTL="2")
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.conn_timeout = 3.0
    changed = config.replace(conn_timeout=6.0)
    assert (config.conn_timeout, changed.conn_timeout, changed.mcast_ttl) == (5.0, 6.0, 2)
    assert len({config, config.replace(), changed}) == 2


def test_describe_says_value_and_origin():
    config = env(CA_CONN_TMO="5", CA_MCAST_TTL="x", CA_ADDR_LIST="10.0.0.1 a,b").replace(user="me")
    lines = config.describe()
    assert "conn_timeout = 5.0 (EPICS_CA_CONN_TMO)" in lines
    assert "addr_list = 10.0.0.1:5064 (EPICS_CA_ADDR_LIST)" in lines
    assert "name_servers = (empty) (default)" in lines
    assert "user = me (argument)" in lines
    assert "mcast_ttl = 1 (default)" in lines
    assert lines[-2].startswith("problem: EPICS_CA_MCAST_TTL: 'x' is no integer")
    assert lines[-1] == "problem: EPICS_CA_ADDR_LIST: 'a,b' is no address: skipped"


def test_replacing_a_setting_forgets_where_it_came_from():
    assert "conn_timeout = 6.0 (argument)" in env(CA_CONN_TMO="5").replace(conn_timeout=6.0).describe()


def test_settings_as_json_and_as_a_table():
    config = Config.from_env({"EPICS_CA_ADDR_LIST": "ioc a,b", "EPICS_CA_CONN_TMO": "7"})
    told = json.loads(json.dumps(config.to_dict(), allow_nan=False))
    assert (told["addr_list"], told["conn_timeout"], told["read_only"]) == (["ioc:5064"], 7.0, False)
    assert "a,b" in told["problems"][0]
    table = config._repr_html_()
    assert "EPICS_CA_CONN_TMO" in table
    assert "a,b" in table
    assert "&lt;" in Config(user="<me>")._repr_html_()


def test_a_config_shows_what_is_not_the_default():
    assert repr(Config()) == "Config()"
    config = Config(addr_list="ioc", conn_timeout=7.0)
    assert repr(config) == "Config(addr_list=['ioc:5064'], conn_timeout=7.0)"
    assert eval(repr(config)) == config
