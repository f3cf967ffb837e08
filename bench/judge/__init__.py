# SPDX-License-Identifier: BSD-3-Clause
"""What bench/cellular is made of; docs/judging.md says what it measures and how."""
