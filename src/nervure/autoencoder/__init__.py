# SPDX-License-Identifier: BSD-3-Clause
"""Autoencoders: a code from which rows can be made again."""
