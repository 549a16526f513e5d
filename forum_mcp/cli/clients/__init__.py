"""Other programs' configuration files: which clients there are, and how our server gets in and out of each.

``table.py`` is the list; ``jsonc.py`` and ``toml.py`` change one member of a text; ``files.py`` keeps copies.
"""
