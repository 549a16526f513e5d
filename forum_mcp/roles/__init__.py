"""The roles a run is played by: prompts in, validated replies out.

PURE: a role is text about text. It stands below ``rules`` so that ``decide`` gives a whole call, prompt included, and
verification derives every prompt again from the record. A changed prompt or reply shape is a new ``VERSION``.
"""

from typing import Final

__all__ = ["VERSION"]

VERSION: Final = 1
