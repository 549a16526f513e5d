"""Verification: everything a container holds is read again and recomputed; bad data is a finding, never an exception."""

from forum_mcp.ledger.finding import Finding, Report
from forum_mcp.ledger.verify.source import Source, SourceFault

__all__ = ["Finding", "Report", "Source", "SourceFault"]
