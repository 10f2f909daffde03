"""Judgement of surveys of the model Internet: what each round of each address had to find, and what the run says."""
