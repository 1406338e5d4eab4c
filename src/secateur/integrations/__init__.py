"""Callbacks for other people's training loops; each library is imported only with its file."""
