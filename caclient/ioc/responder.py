"""Answers to searches by datagram. No socket."""

from __future__ import annotations

from collections.abc import Iterable

from caclient.errors import RemoteProtocolError
from caclient.protocol import commands as ca
from caclient.protocol.broadcaster import Broadcaster

from .database import Database

_MOST = 1024
"""Bytes of one reply, as EPICS servers send at most."""
_SEQUENCE_SINCE = 11
"""The minor version from which a client wants the reply to begin with a version."""


class Responder:
    """Knows which names are served, and says so to those who ask."""

    def __init__(
        self, database: Database, tcp_port: int, ignored: Iterable[str] = (), version: int = ca.MINOR_VERSION
    ) -> None:
        self._database = database
        self._tcp_port = tcp_port
        self._ignored = frozenset(ignored)
        self._version = version
        self._broadcaster = Broadcaster(our_role=ca.SERVER)

    def answer(self, datagram: bytes, address: tuple[str, int]) -> list[bytes]:
        """The datagrams to send back; none if nothing asked for is served here, or it cannot be understood."""
        if address[0] in self._ignored:
            return []
        try:
            requests = self._broadcaster.receive(datagram, address)
        except RemoteProtocolError:
            return []
        return self._packed(self._replies(requests), self._version_reply(requests))

    def _replies(self, requests: Iterable[ca.Command]) -> list[bytes]:
        searches = (each for each in requests if isinstance(each, ca.SearchRequest))
        known = (search for search in searches if self._database.find(search.name) is not None)
        return [ca.SearchResponse(self._tcp_port, ca.THE_SENDER, s.cid, self._version).to_bytes() for s in known]

    def _version_reply(self, requests: Iterable[ca.Command]) -> bytes:
        """What each reply begins with: the last version heard decides, as in EPICS servers; older clients want none."""
        versions = [each for each in requests if isinstance(each, ca.VersionRequest)]
        if not versions or min(versions[-1].version, self._version) < _SEQUENCE_SINCE:
            return b""
        return ca.VersionResponse(self._version, versions[-1].sequence).to_bytes()

    def _packed(self, replies: list[bytes], first: bytes) -> list[bytes]:
        """The replies in as few datagrams as may be."""
        if not replies:
            return []
        each = (_MOST - len(first)) // len(replies[0])
        return [first + b"".join(replies[i : i + each]) for i in range(0, len(replies), each)]
