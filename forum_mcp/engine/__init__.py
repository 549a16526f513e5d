"""The engine: the only room that decides and acts.

``orchestrator.py`` is its front. A request becomes ``run.started`` (``keeping.py``); ``holding.py`` is the loop that
appends decisions and performs calls; ``folding.py`` keeps the state up with the record; ``present.py`` shows it.
"""
