/* SPDX-License-Identifier: Apache-2.0 */
/* Finds block devices by path, UUID or label. */
#include "init/disk.h"

#include "base/cleanup.h"
#include "init/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VIRTIO_DEVICES "/sys/bus/virtio/devices"
#define VIRTIO_ID_BLOCK 2

/* The ext4 superblock and the offsets of its fields (Documentation/filesystems/ext4/super.rst). */
#define EXT4_SUPER_OFFSET 1024
#define EXT4_SUPER_SIZE 1024
#define EXT4_MAGIC_AT 0x38
#define EXT4_UUID_AT 0x68
#define EXT4_LABEL_AT 0x78
#define EXT4_LABEL_LEN 16

/* The next name in a folder of /sys, leaving out those that start with a dot. */
static struct dirent *next_entry(DIR *dir)
{
	struct dirent *entry;

	do {
		entry = readdir(dir);
	} while (entry && entry->d_name[0] == '.');
	return entry;
}

static bool has_virtio_block(void)
{
	DIR *dir = opendir(VIRTIO_DEVICES);
	struct dirent *entry;
	unsigned int id;
	char path[320], text[32];
	bool is_found = false;

	if (!dir)
		return false;
	while (!is_found && (entry = next_entry(dir))) {
		snprintf(path, sizeof(path), VIRTIO_DEVICES "/%s/device", entry->d_name);
		if (file_read(path, text, sizeof(text)) > 0 && sscanf(text, "%x", &id) == 1)
			is_found = id == VIRTIO_ID_BLOCK;
	}
	closedir(dir);
	return is_found;
}

/* Loop, ram and zram devices exist without a disk behind them. */
static bool is_pseudo_disk(const char *name)
{
	return strncmp(name, "loop", 4) == 0 || strncmp(name, "ram", 3) == 0 ||
	       strncmp(name, "zram", 4) == 0;
}

bool disk_is_expected(void)
{
	char names[512];

	disk_list(names, sizeof(names));
	return names[0] || has_virtio_block();
}

void disk_list(char *buf, size_t size)
{
	DIR *dir = opendir("/sys/class/block");
	struct dirent *entry;
	size_t len = 0;

	buf[0] = '\0';
	if (!dir)
		return;
	while (len < size && (entry = next_entry(dir))) {
		if (is_pseudo_disk(entry->d_name))
			continue;
		len += (size_t)snprintf(buf + len, size - len, "%s%s", len ? " " : "",
					entry->d_name);
	}
	closedir(dir);
}

static void format_uuid(const uint8_t uuid[static 16], char text[static 37])
{
	for (size_t i = 0; i < 16; i++) {
		bool has_dash = i == 4 || i == 6 || i == 8 || i == 10;

		text += snprintf(text, 4, "%s%02x", has_dash ? "-" : "", uuid[i]);
	}
}

/* Whether the device holds an ext4 whose label or UUID is the one wanted; either may be NULL. */
static bool is_ext4_of(const char *path, const char *uuid, const char *label)
{
	uint8_t super[EXT4_SUPER_SIZE];
	char its_uuid[37], its_label[EXT4_LABEL_LEN + 1];
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || pread(fd, super, sizeof(super), EXT4_SUPER_OFFSET) != sizeof(super) ||
	    super[EXT4_MAGIC_AT] != 0x53 || super[EXT4_MAGIC_AT + 1] != 0xef)
		return false;
	format_uuid(super + EXT4_UUID_AT, its_uuid);
	snprintf(its_label, sizeof(its_label), "%.*s", EXT4_LABEL_LEN,
		 (const char *)super + EXT4_LABEL_AT);
	return (uuid && strcasecmp(uuid, its_uuid) == 0) ||
	       (label && strcmp(label, its_label) == 0);
}

static int find_ext4(const char *uuid, const char *label, char *path, size_t size)
{
	DIR *dir = opendir("/sys/class/block");
	struct dirent *entry;
	int r = 0;

	if (!dir)
		return 0;
	while (r == 0 && (entry = next_entry(dir))) {
		if ((size_t)snprintf(path, size, "/dev/%s", entry->d_name) < size &&
		    is_ext4_of(path, uuid, label))
			r = 1;
	}
	closedir(dir);
	return r;
}

int disk_find(const char *name, char *path, size_t size)
{
	struct stat st;

	if (strncmp(name, "UUID=", 5) == 0)
		return find_ext4(name + 5, NULL, path, size);
	if (strncmp(name, "LABEL=", 6) == 0)
		return find_ext4(NULL, name + 6, path, size);
	if (strncmp(name, "/dev/", 5) != 0 || strlen(name) >= size)
		return -EINVAL;
	memcpy(path, name, strlen(name) + 1);
	return stat(path, &st) == 0 && S_ISBLK(st.st_mode);
}
