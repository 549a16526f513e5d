"""What ``forum-mcp doctor`` looks at, one module for each part; ``examination.CHECKS`` is the list.

A check looks and changes nothing. It gives lines: what is so, and when that is a problem, the words that mend it.
"""
