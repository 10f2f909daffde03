"""CWMP, the remote management of customer premises equipment (TR-069): its connection requests come over HTTP."""

from typing import Final

from liveness.applications.contract import Request
from liveness.applications.http import is_answer, request

__all__ = ["ANSWER", "SAYS", "Request", "is_answer", "request"]

SAYS: Final = "GET / HTTP/1.1, as for HTTP"
ANSWER: Final = "data that begins with HTTP/1.: any status, typically 401 with a Digest challenge"
