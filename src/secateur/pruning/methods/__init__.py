"""Methods: recipes of criterion, granularity, scope and schedule."""
