"""Signing what the law wants signed, and telling anybody whether it still stands as it was signed.

seam        what a signer is; none, software, token, remote: the four kinds of device
anchors     the authorities that are believed, as data
chains      did this certificate stand at that time?
stamps      proven time (RFC 3161);  proofs: certificate status kept with the signature
jws pdf xml the three formats, each with `sign` and `verify`
"""
