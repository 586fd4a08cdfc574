"""A graph that can't be imported: the server names it and serves the others."""

raise RuntimeError("the charts are not aboard")
