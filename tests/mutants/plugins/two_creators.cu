// SPDX-License-Identifier: Apache-2.0
//
// Bug 23: the library registers two creators of one name and version; TensorRT drops the second.
#include "shell.h"

MISH_MUTANT(mutant::Mish)
static mutant::Registration<mutant::Mish> second;
