"""The engine: the only room that decides and acts.

``orchestrator.py`` is its front. A request becomes ``run.started`` (``beginning.py``); ``holding.py`` is the loop that
appends decisions and performs calls; ``folding.py`` keeps the state up with the record; ``present.py`` shows it.

Where things are:

    every operation, once               orchestrator assistance ledger seen
    what operations answer              views present
    from settings to an engine          assembly ladders pricing readiness detecting proposing
    a run is asked for                  requests options beginning forking
    a run is held                       keeping holding leases clock
    its record goes on                  stepping folding recorder outcomes accounts scrubbed scrubbing spans
    it reuses what was done             recalling
    it waits for the assistant          working
    it waits for approval               approving gatekeeping
    it outlives the window              daemon detaching
    the record is read                  reading filtering summaries descent replay aside progress
    it is told in figures               summary tally compare quoting learning
    it is verified                      verifying rederive citing daybook
    it is proved to others              signing receipts exported witnessing
    it is made, kept, taken over        founding bodies custody redaction importing
"""
