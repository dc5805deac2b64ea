"""Reviews of a mined folder: decisions of listeners, and their application to excerpts that are cut otherwise."""
