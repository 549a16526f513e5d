"""The process that starts commands for us, watches them and leaves nothing of them behind.

Runs by itself: standard library only, nothing imported from the rest of the package (hence the relative imports), so
that it starts in milliseconds and stays small. ``launcher`` is its front; ``confinement`` is what a command is put
into between fork and exec; ``landlock`` speaks to that part of the kernel; ``watch`` counts what runs below a process.
"""
