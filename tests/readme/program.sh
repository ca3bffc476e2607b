#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# program.sh <executable> <expected>: runs it and compares what it prints.
set -euo pipefail
diff <("$1") "$2"
