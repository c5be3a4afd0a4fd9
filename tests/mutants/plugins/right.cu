// SPDX-License-Identifier: Apache-2.0
//
// The shell without a bug: the control that no check may find anything in.
#include "shell.h"

MISH_MUTANT(mutant::Mish)
