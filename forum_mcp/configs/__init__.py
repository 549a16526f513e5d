"""Settings and shipped data: what the operator may set, where it comes from, and the defaults.

``settings`` is the shape, ``flags`` and ``load`` bring it together, ``known`` words the refusals.
``paths`` finds the user's directories without any of that: verifying a ledger needs no settings at all.
"""
