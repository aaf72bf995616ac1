/* SPDX-License-Identifier: Apache-2.0 */
/* What the traitor tries, and from where: see traitor.h. */
#include "test/traitor/traitor.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "jail/layer.h"

struct loot loot;

static struct attempt_report *reports; /* NULL: nothing to do */
static const struct escape *escape;
static int first_number, last_number;
static const char *acting_thread;

static const struct escape *const escapes[] = {
	[ESCAPE_FILE] = file_escapes,	    [ESCAPE_PROCESS] = process_escapes,
	[ESCAPE_NETWORK] = network_escapes, [ESCAPE_KERNEL] = kernel_escapes,
	[ESCAPE_CONTROL] = control_escapes,
};

static const char *const kinds[] = {
	[ESCAPE_FILE] = "file",	    [ESCAPE_PROCESS] = "process", [ESCAPE_NETWORK] = "network",
	[ESCAPE_KERNEL] = "kernel", [ESCAPE_CONTROL] = "control",
};

static const char *word(const char *name)
{
	const char *value = getenv(name);

	return value ? value : "";
}

static int number(const char *name)
{
	return (int)strtol(word(name), NULL, 0);
}

uint32_t traitor_layers(void)
{
	const char *value = getenv("VOLT_TRAITOR_LAYERS");

	return value ? (uint32_t)strtoul(value, NULL, 0) : JAIL_ALL_LAYERS;
}

const char *loot_path(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", loot.folder, name);
	return path;
}

const char *loot_new_path(const char *name)
{
	char unique[64];
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(unique, sizeof(unique), "%s-%lld-%ld", name, (long long)now.tv_sec, now.tv_nsec);
	return loot_path(unique);
}

static const struct escape *find(const char *name)
{
	for (size_t kind = 0; kind < sizeof(escapes) / sizeof(escapes[0]); kind++) {
		for (const struct escape *at = escapes[kind]; at->name; at++) {
			if (strcmp(at->name, name) == 0)
				return at;
		}
	}
	return NULL;
}

static struct attempt_report *map_reports(void)
{
	const int fd = open(word("VOLT_TRAITOR_REPORT"), O_RDWR);
	void *map = fd < 0 ? MAP_FAILED
			   : mmap(NULL, NUMBERS * sizeof(*reports), PROT_READ | PROT_WRITE,
				  MAP_SHARED, fd, 0);

	if (fd >= 0)
		close(fd);
	return map == MAP_FAILED ? NULL : map;
}

void traitor_prepare(void)
{
	const char *what = word("VOLT_TRAITOR_ATTEMPT");
	char *end;

	loot.folder = word("VOLT_TRAITOR_FOLDER");
	snprintf(loot.file, sizeof(loot.file), "%s/file", loot.folder);
	loot.port = (uint16_t)number("VOLT_TRAITOR_PORT");
	loot.victim_pid = number("VOLT_TRAITOR_VICTIM");
	loot.nice = getpriority(PRIO_PROCESS, 0);
	loot.segment = number("VOLT_TRAITOR_SEGMENT");
	loot.control_pid = (int)strtol(word("VOLT_TRAITOR_CONTROL"), &end, 0);
	loot.control_address = strtoull(end, NULL, 0);
	acting_thread = word("VOLT_TRAITOR_THREAD");
	reports = map_reports();
	if (!reports)
		return;
	if (sscanf(what, "numbers %d %d", &first_number, &last_number) == 2)
		return;
	escape = find(what);
	if (!escape) {
		fprintf(stderr, "traitor: no escape '%s'\n", what);
		_exit(1);
	}
	if (escape->prepare && !escape->prepare()) {
		reports[0].state = ATTEMPT_UNAVAILABLE;
		reports = NULL;
	}
}

void traitor_act(const char *thread)
{
	static bool has_acted;

	if (!reports || strcmp(thread, acting_thread) != 0 ||
	    __atomic_exchange_n(&has_acted, true, __ATOMIC_SEQ_CST))
		return;
	if (!escape) {
		numbers_try(reports, first_number, last_number,
			    traitor_layers() & 1u << JAIL_SECCOMP);
		return;
	}
	reports[0].state = ATTEMPT_BEGUN;
	reports[0].value = escape->attempt();
	reports[0].state = ATTEMPT_RETURNED;
}

/* Before main(): --list-escapes prints what there is to try. */
__attribute__((constructor)) static void list(int argc, char **argv)
{
	if (argc != 2 || strcmp(argv[1], "--list-escapes") != 0)
		return;
	for (size_t kind = 0; kind < sizeof(escapes) / sizeof(escapes[0]); kind++) {
		for (const struct escape *at = escapes[kind]; at->name; at++)
			printf("%s %s\n", kinds[kind], at->name);
	}
	fflush(stdout);
	_exit(0);
}
