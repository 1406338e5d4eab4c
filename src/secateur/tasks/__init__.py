"""Tasks: how a net is fed, what training minimises, and what is measured of it."""

from secateur.tasks.task import Meter, Quality, Task, find_task

__all__ = ["Meter", "Quality", "Task", "find_task"]
