"""Talks with TCP services: receivers follow connections, and the talker process acknowledges, asks and resets."""
