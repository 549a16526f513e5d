"""The rules: pure decisions over recorded entries.

``state.py`` folds entries into a state, ``next.py`` gives the decision that follows. No I/O, clock or randomness: what
a run was decided from stands in its record, so every decision can be derived again. A change of behaviour is a new
``VERSION`` of the module that changed.
"""
