"""Jobs: they know pages and sinks, and leave HTTP to the dispatcher."""
