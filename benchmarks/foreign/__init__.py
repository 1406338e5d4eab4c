"""Networks of other people's making, and the way each is sent through secateur."""
