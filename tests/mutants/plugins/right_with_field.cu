// SPDX-License-Identifier: Apache-2.0
//
// The shell with a field and without a bug: the control that no check may find anything in.
#include "scale.h"

MISH_MUTANT(mutant::Scaled)
