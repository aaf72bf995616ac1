/* SPDX-License-Identifier: Apache-2.0 */
/* host: what a machine has apart from files and processes: a name and a loopback interface. */
#pragma once

/* Sets the host name: the given one, else that of /etc/hostname, else "volt". */
void host_set_name(const char *name);

/* Brings the loopback interface up; a kernel without network has none. */
void host_loopback_up(void);
