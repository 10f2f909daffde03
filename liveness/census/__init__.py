"""Recurring censuses: runs in one directory with a schedule, reports, comparison, retention and notification."""
