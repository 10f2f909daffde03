"""A census from many vantage points: jobs placed on workers, kept apart by leases, stored in object storage."""
