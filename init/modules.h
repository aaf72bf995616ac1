/* SPDX-License-Identifier: Apache-2.0 */
/*
 * modules: loads the kernel modules that an initramfs carries.
 *
 * The initramfs holds plain .ko files and a file "order" that names them, one a line, each after
 * the modules it needs, optionally with parameters:
 *
 *	virtio_mmio.ko
 *	loop.ko max_loop=8
 *
 * So volt-init needs neither depmod's tables nor a decompressor.
 */
#pragma once

#include "init/cmdline.h"

struct module_line {
	const char *file; /* borrowed: points into the line */
	const char *params; /* likewise; "" if there are none */
	char name[64]; /* as the kernel calls it: virtio_mmio */
};

/*
 * Parses one line of "order", cutting it in place. Returns 1 for a module, 0 for an empty line or
 * a comment (#), -EINVAL if the file name is not a plain name of a .ko file.
 */
int module_parse_line(char *line, struct module_line *m);

/*
 * Loads what dir/order names, with its parameters and those of the kernel command line. A module
 * that does not load is one line on the console. Without an order file nothing happens.
 */
void modules_load(const char *dir, const struct cmdline *c);
