"""Review of mined excerpts by ear: the review page, its server, purity audits, and a static page."""
