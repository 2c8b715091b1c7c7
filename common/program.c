// SPDX-License-Identifier: Apache-2.0
#include "common/program.h"

static const char *name_ = "weir";

void program_set_name(const char *name)
{
	name_ = name;
}

const char *program_name(void)
{
	return name_;
}
