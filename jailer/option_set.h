/* SPDX-License-Identifier: Apache-2.0 */
/* Setters for rows of the option table (options.h): each checks the value and fills its member. */
#pragma once

#include "jailer/options.h"

jailer_setter jailer_set_id, jailer_set_program, jailer_set_uid, jailer_set_gid, jailer_set_base;
jailer_setter jailer_set_netns, jailer_set_daemon, jailer_set_pid_namespace, jailer_set_cgroup;
jailer_setter jailer_set_cgroup_version, jailer_set_parent_cgroup, jailer_set_limit;
jailer_setter jailer_set_cleanup, jailer_set_version, jailer_set_help;
