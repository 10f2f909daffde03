"""Timers that start a census at its scheduled times: systemd units or lines of cron."""
