"""What starts a census again and again: units of systemd, or lines of cron."""
