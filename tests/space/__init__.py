"""Tests of address space: lists, intervals, targets, permutation, schedule."""
