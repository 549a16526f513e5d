"""The stores: where a ledger's bytes lie. EDGE: the only room that reads and writes them.

``base.py`` is the port; every store passes the suite of tests/contract. Entries, bodies and tree nodes are written in
one durable transaction or not at all.

Where things are:

    the port                            base
    the default store                   sqlite view transaction pending
    its tables                          schema rows bodies tree marks
    its file                            opening connection files held_file migration backup recognition
    read to be verified                 source
    an export as a store                export_file export_index export_source
    a store as one principal reads it   principal
    keys, and what was signed           keys signed
    another program's files             forum_engine
"""
