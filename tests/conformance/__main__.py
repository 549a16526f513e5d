"""``python -m tests.conformance LEDGER``: what ``forum-mcp serve --http`` serves, with the suite's fixtures added."""

import sys

from forum_mcp.cli.serve import HttpOptions, speak_http
from forum_mcp.configs.flags import Flags
from tests.conformance.pack import FixtureServer

sys.exit(speak_http(Flags(ledger=sys.argv[1]), HttpOptions(port=0), FixtureServer))
