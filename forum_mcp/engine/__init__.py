"""The engine: the only room that decides and acts.

``forum.py`` is its port, ``orchestrator.py`` its front. A request becomes ``run.started`` (``run_starter.py``);
``run_loop.py`` appends decisions and performs calls, ``folding.py`` keeps the state up with the record, and
``run_views.py`` shows it.

Where things are:

    every operation, once               forum orchestrator ledger ledger_reader
    the same for one principal          principal principal_forum principal_ledger
    what operations answer              views run_views entry_summary
    from settings to an engine          opening assembly ladders pricing readiness detecting proposing
    a run is asked for                  requests options run_starter forking
    a run is held                       run_holder run_loop performer leases clock grounds
    its record goes on                  stepping pacing folding recorder outcomes accounts spans
    secrets stay out of it              scrubbing event_scrubbing
    it reuses what was done             recalling
    it waits for the assistant          work_desk
    it waits for approval               gate_desk approving
    it outlives the window              daemon daemon_client
    the record is read                  reading filtering descent replay run_reader worker_thread progress
    it is told in figures               summary tally compare history quoting learning advice
    it is verified                      verifying rederive rederive_citations rederive_accounts
    it is proved to others              signing receipts exports witnessing
    it is made, kept, taken over        genesis bodies custody redaction importing
"""
