"""The rules: pure decisions over recorded entries.

``state.py`` folds entries into a state, ``next.py`` gives the decision that follows. No I/O, clock or randomness: what
a run was decided from stands in its record, so every decision can be derived again. A change of behaviour is a new
``VERSION`` of the module that changed.

Where things are:

    entries in, state out               state transitions run agenda
    state in, next decision out         next
    the terms a run is begun with       contract policy prices
    route: which lane                   routing evidence lexicon knowledge confidence classifying
    words of requests and rosters       words typos stopwords imperatives
    the lanes there are                 lanes roster
    plan: which tasks                   planning plan split schema
    context: what it may read           context
    tasks: who does what, when          tasking ladder calls failures budget gates reuse
    verdicts: is a result good          verdicts checks criteria pattern finding loops sketch effort
    answer                              answering
    what is found out about it          reviewing intent coverage delivery concision verification opinions
"""
