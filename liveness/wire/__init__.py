"""Wire formats: headers, checksums, SipHash, cookies, parsing."""
