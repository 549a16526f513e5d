"""The ledger's format: what an entry is, how it is hashed, proved and verified. PURE: no I/O, clock or randomness.

It follows docs/ledger-format.md byte by byte; ``standalone.py`` is the same verification a second time, for somebody
who trusts nothing else of ours.

Where things are:

    an entry                            entry members faultless canonical
    the kinds of entries                kinds
    the tree and its proofs             merkle proof growth trace
    signatures                          note checkpoint cosignature
    files for others                    export receipt lines
    verification                        verify finding standalone
    another program's ledger            forum_engine
"""
