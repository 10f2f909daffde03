"""IP sets: building, storing and combining roaring bitmaps of IPv4 addresses."""
