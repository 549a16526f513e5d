"""``python -m forum_mcp.cli``: the same as the script ``forum-mcp``."""

from forum_mcp.cli import main

if __name__ == "__main__":
    main()
