"""Settings and shipped data: what the operator may set, where it comes from, and the defaults.

``settings`` is the shape, ``flags`` and ``load`` bring it together, ``known`` words the refusals.
``paths`` finds the user's directories without any of that: verifying a ledger needs no settings at all.

Where things are:

    the shape of the settings           settings section executor context custody names
    where they come from                load origins flags models files trust secrets nesting
    refusals that help                  known lines
    places on this machine              paths
    what ships with the package         roster routing
"""
