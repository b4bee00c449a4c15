"""The pages of staff work; each template lies beside its page."""
