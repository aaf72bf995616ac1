/* SPDX-License-Identifier: Apache-2.0 */
/* The one configuration of a VM: see settings.h. */
#include "control/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

void settings_init(struct settings *s)
{
	*s = (struct settings){
		.memory_bytes = 128 * MIB,
		.cpu_count = 1,
		.has_acpi = true,
		.logger.level = LOGGER_INFO,
	};
}

static void clear_text(char **slot)
{
	free(*slot);
	*slot = NULL;
}

void net_value_release(struct net_value *net)
{
	clear_text(&net->id);
	clear_text(&net->host_dev_name);
}

void pmem_value_release(struct pmem_value *pmem)
{
	clear_text(&pmem->id);
	clear_text(&pmem->path);
}

void settings_release(struct settings *s)
{
	char **const texts[] = { &s->cpu_template,   &s->kernel_path,	     &s->initrd_path,
				 &s->cmdline,	     &s->cmdline_append,     &s->console.path,
				 &s->vsock.uds_path, &s->logger.path,	     &s->logger.module,
				 &s->metrics.path,   &s->metrics.properties, &s->seccomp_path };

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		clear_text(texts[i]);
	free(s->custom_template);
	for (size_t i = 0; i < s->nr_drives; i++)
		drive_value_release(&s->drives[i]);
	for (size_t i = 0; i < s->nr_nets; i++)
		net_value_release(&s->nets[i]);
	for (size_t i = 0; i < s->nr_pmems; i++)
		pmem_value_release(&s->pmems[i]);
	for (size_t i = 0; i < s->mmds.nr_net_ids; i++)
		clear_text(&s->mmds.net_ids[i]);
	*s = (struct settings){ 0 };
}

int settings_set_text(char **slot, const char *text, struct err *e)
{
	char *copy = NULL;

	if (text) {
		copy = strdup(text);
		if (!copy)
			return err_set(e, -ENOMEM, "out of memory");
	}
	free(*slot);
	*slot = copy;
	return 0;
}

int settings_copy_confinement(struct settings *s, const struct settings *from, struct err *e)
{
	s->allowed_missing = from->allowed_missing;
	s->is_alone_on_core = from->is_alone_on_core;
	s->is_memory_locked = from->is_memory_locked;
	return settings_set_text(&s->seccomp_path, from->seccomp_path, e);
}

struct drive_value *settings_find_drive(struct settings *s, const char *id)
{
	for (size_t i = 0; i < s->nr_drives; i++) {
		if (strcmp(s->drives[i].id, id) == 0)
			return &s->drives[i];
	}
	return NULL;
}

static void remove_drive(struct settings *s, struct drive_value *drive)
{
	const size_t at = (size_t)(drive - s->drives);

	drive_value_release(drive);
	s->nr_drives--;
	memmove(drive, drive + 1, (s->nr_drives - at) * sizeof(*drive));
}

int settings_put_drive(struct settings *s, struct drive_value *drive)
{
	struct drive_value *old = settings_find_drive(s, drive->id);
	const bool has_other_root = s->nr_drives > 0 && s->drives[0].is_root && old != s->drives;
	size_t at = s->nr_drives;

	if (drive->is_root && has_other_root)
		return -EEXIST;
	if (!old && s->nr_drives == ARRAY_LEN(s->drives))
		return -ENOSPC;
	if (old && old->is_root == drive->is_root) {
		drive_value_release(old);
		*old = *drive;
	} else {
		if (old) {
			remove_drive(s, old);
			at--;
		}
		if (drive->is_root)
			at = 0;
		memmove(&s->drives[at + 1], &s->drives[at], (s->nr_drives - at) * sizeof(*drive));
		s->drives[at] = *drive;
		s->nr_drives++;
	}
	*drive = (struct drive_value){ 0 };
	return 0;
}

struct net_value *settings_find_net(struct settings *s, const char *id)
{
	for (size_t i = 0; i < s->nr_nets; i++) {
		if (strcmp(s->nets[i].id, id) == 0)
			return &s->nets[i];
	}
	return NULL;
}

int settings_put_net(struct settings *s, struct net_value *net)
{
	struct net_value *slot = settings_find_net(s, net->id);

	if (!slot && s->nr_nets == ARRAY_LEN(s->nets))
		return -ENOSPC;
	if (slot)
		net_value_release(slot);
	else
		slot = &s->nets[s->nr_nets++];
	*slot = *net;
	*net = (struct net_value){ 0 };
	return 0;
}

struct pmem_value *settings_find_pmem(struct settings *s, const char *id)
{
	for (size_t i = 0; i < s->nr_pmems; i++) {
		if (strcmp(s->pmems[i].id, id) == 0)
			return &s->pmems[i];
	}
	return NULL;
}

const struct pmem_value *settings_root_pmem(const struct settings *s)
{
	for (size_t i = 0; i < s->nr_pmems; i++) {
		if (s->pmems[i].is_root)
			return &s->pmems[i];
	}
	return NULL;
}

int settings_put_pmem(struct settings *s, struct pmem_value *pmem)
{
	struct pmem_value *slot = settings_find_pmem(s, pmem->id);

	if (!slot && s->nr_pmems == ARRAY_LEN(s->pmems))
		return -ENOSPC;
	if (slot)
		pmem_value_release(slot);
	else
		slot = &s->pmems[s->nr_pmems++];
	*slot = *pmem;
	*pmem = (struct pmem_value){ 0 };
	return 0;
}

const char *settings_missing(const struct settings *s, char *buf, size_t size)
{
	if (s->nr_nets > 0)
		snprintf(buf, size, "network interface '%s'", s->nets[0].id);
	else if (s->nr_pmems > 0)
		snprintf(buf, size, "pmem device '%s'", s->pmems[0].id);
	else if (s->vsock.guest_cid != 0)
		snprintf(buf, size, "vsock device");
	else if (s->balloon.is_present)
		snprintf(buf, size, "balloon device");
	else if (s->entropy.is_present)
		snprintf(buf, size, "entropy device");
	else if (s->memory_hotplug.total_mib != 0)
		snprintf(buf, size, "hotpluggable memory");
	else if (s->mmds.is_present)
		snprintf(buf, size, "metadata service (mmds-config)");
	else
		return NULL;
	return buf;
}
